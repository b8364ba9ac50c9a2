/**
 * Characters that print as nothing or as a blank, except the space U+0020: other spaces, line and paragraph separators,
 * format and control characters, soft hyphens, zero-width characters, variation selectors and fillers.
 */
const INVISIBLE = /(?! )[\p{Z}\p{Cf}\p{Cc}\p{Default_Ignorable_Code_Point}\u2800]/gu;

/** Longer texts are cut in messages, in UTF-16 code units. */
const SHOWN_MAX = 200;

/** Whether a text has an invisible character. Two such texts can look the same and be different ids. */
export function hasInvisible(text: string): boolean {
  return text.search(INVISIBLE) !== -1;
}

/** A text for a message or a table: invisible characters are written as `\u200b`. */
export function escaped(text: string): string {
  return text.replaceAll(INVISIBLE, unicodeEscapes);
}

/** A text for a message as a JSON string: invisible characters are escaped too, and a long text is cut. */
export function quoted(text: string): string {
  const shown = escaped(JSON.stringify(text.slice(0, SHOWN_MAX)));
  return text.length <= SHOWN_MAX ? shown : `${shown}… (${text.length} characters)`;
}

/** A character above U+FFFF becomes two escapes, as in JSON. */
function unicodeEscapes(character: string): string {
  return Array.from(
    { length: character.length },
    (_, unit) => `\\u${character.charCodeAt(unit).toString(16).padStart(4, '0')}`,
  ).join('');
}
