// The grammar of RFC 9110, 5.6.2 to 5.6.6.
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
const QUOTED = '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t \\x21-\\x7e\\x80-\\xff])*"';
const JSON_TYPE = /^application\/json(?=[\t ;]|$)/i;
/** One parameter, or a semicolon without a parameter. */
const PARAMETER = new RegExp(`[\\t ]*;[\\t ]*(?:(${TOKEN})=(${TOKEN}|${QUOTED}))?`, 'y');
const REST = /[\t ]*$/y;

/**
 * Whether a `Content-Type` is JSON in UTF-8: `application/json` in any letter case, with any parameters except a
 * charset other than `utf-8` or `utf8`. JSON defines no parameters of its own, so all others change nothing.
 */
export function isJsonInUtf8(contentType: string): boolean {
  // Most requests have exactly this type.
  if (contentType === 'application/json') return true;
  const type = JSON_TYPE.exec(contentType)?.[0];
  if (type === undefined) return false;
  let offset = type.length;
  for (;;) {
    PARAMETER.lastIndex = offset;
    const parameter = PARAMETER.exec(contentType);
    if (parameter === null) break;
    const [text, name, value] = parameter;
    if (name?.toLowerCase() === 'charset' && !/^utf-?8$/i.test(unquoted(value ?? ''))) return false;
    offset += text.length;
  }
  REST.lastIndex = offset;
  return REST.test(contentType);
}

function unquoted(value: string): string {
  return value.startsWith('"') ? value.slice(1, -1).replaceAll(/\\(.)/g, '$1') : value;
}
