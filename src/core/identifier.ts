/** The longest id, in bytes of UTF-8. */
export const IDENTIFIER_BYTES_MAX = 64;

/** The id rule in one sentence, for error messages and the API description. */
export const IDENTIFIER_RULE =
  'must be 1 to 64 bytes of well-formed UTF-8 with no control character and no white space at either end';

const CONTROL_CHARACTER = /\p{Cc}/u;
const PLAIN = /^[\x21-\x7e]{1,64}$/;

/**
 * Tells whether a text may be an id (`sku_id`, `order_id`, `order_detail_id`, …).
 *
 * Ids are compared byte for byte everywhere, so whatever could make two spellings of one byte string, or one spelling
 * of two, is refused here: lone surrogates (all encode to EF BF BD), control characters, blanks at either end.
 */
export function isIdentifier(text: string): boolean {
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

/** Orders ids by their bytes, as MySQL orders a VARBINARY column; rows are locked in this order everywhere. */
export function compareIdentifiers(a: string, b: string): number {
  if (a === b) return 0;
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}
