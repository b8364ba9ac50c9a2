/** The longest id, in bytes of UTF-8. */
export const IDENTIFIER_BYTES_MAX = 64;

/** The rule for ids of existing rows, in one sentence, for error messages and the API description. */
export const STORED_IDENTIFIER_RULE =
  'must be 1 to 64 bytes of well-formed UTF-8 with no control character and no white space at either end';

/** The rule for new ids, and for ids in a path. */
export const IDENTIFIER_RULE = `${STORED_IDENTIFIER_RULE}, and not "." or ".."`;

const CONTROL_CHARACTER = /\p{Cc}/u;
const PLAIN = /^[\x21-\x7e]{1,64}$/;

/**
 * Whether a text may be a new id (`sku_id`, `order_id`, `order_detail_id`, …). URL clients remove the path segments
 * `.` and `..`, percent-encoded or not, so that no client can address such an id in a path.
 */
export function isIdentifier(text: string): boolean {
  return text !== '.' && text !== '..' && isStoredIdentifier(text);
}

/**
 * Whether a text may be the id of an existing row. Earlier versions accepted `.` and `..`; those rows stay readable
 * and returnable in bodies.
 *
 * Ids are compared byte for byte everywhere. So this function rejects every text that could make two spellings of one
 * byte string, or one spelling of two: lone surrogates (all encode to EF BF BD), control characters, and blanks at
 * either end.
 */
export function isStoredIdentifier(text: string): boolean {
  if (PLAIN.test(text)) return true;
  return (
    text.length > 0 &&
    text.length <= IDENTIFIER_BYTES_MAX &&
    Buffer.byteLength(text, 'utf8') <= IDENTIFIER_BYTES_MAX &&
    text.isWellFormed() &&
    !CONTROL_CHARACTER.test(text) &&
    text.trim() === text
  );
}

/** Orders ids by their bytes, as MySQL orders a VARBINARY column. Rows are locked in this order everywhere. */
export function compareIdentifiers(a: string, b: string): number {
  if (a === b) return 0;
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}
