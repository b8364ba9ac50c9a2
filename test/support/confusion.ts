const REPEATED: readonly string[] = [
  ...['x'.repeat(64), `${'x'.repeat(63)}a`, `${'x'.repeat(63)}b`, 'x'.repeat(63), 'x'.repeat(65), `${'x'.repeat(64)}a`, `${'x'.repeat(64)}b`],
  ...['é'.repeat(32), `${'é'.repeat(31)}xy`, `x${'é'.repeat(31)}`, `${'é'.repeat(32)}x`, `x${'é'.repeat(32)}`, `${'x'.repeat(63)}é`, `${'x'.repeat(62)}é`],
  ...['手'.repeat(21), `${'手'.repeat(21)}x`, '手'.repeat(22), '😀'.repeat(16), '😀'.repeat(17), 'e\u0301'.repeat(21), `${'x'.repeat(63)} `, 'x'.repeat(256)],
];

/** Ids that some program, database or person takes for one another. Each is refused, or a SKU of its own everywhere; `.` and `..` have a test of their own. */
export const CONFUSION: readonly string[] = [
  // Case, also where it changes the length or the language.
  ...['sku', 'SKU', 'Sku', 'sKu', 'ß', 'ẞ', 'ss', 'SS', 'sz', 'i', 'I', 'ı', 'İ', 'i\u0307', 'k', 'K', '\u212a', 's', 'ſ', 'S', 'σ', 'ς', 'Σ', 'ŉ', 'ʼn', 'ǆ', 'ǅ', 'Ǆ'],
  // Accents, composed, decomposed and left out.
  ...['cafe', 'café', 'cafe\u0301', 'CAFÉ', 'cafè', 'a', 'A', 'á', 'a\u0301', 'ä', 'ae', 'æ', 'Æ', 'å', '\u212b', 'A\u030a', 'Å', 'ø', 'o', 'ö', 'œ', 'oe', 'ñ', 'n\u0303', 'n'],
  ...['\u03a9', '\u2126', '각', '\u1100\u1161\u11a8', 'が', 'か\u3099', 'か', 'カ', 'ｶ', 'ﬁ', 'fi', 'ﬀ', 'ff', '①', '½', '1⁄2', '㎏', 'kg', '手', '⼿'],
  // White space at the ends and inside, and what looks like none.
  ...[' ', '\u00a0', '\u3000', '\ufeff', ' a', 'a ', 'a  ', '\u00a0a', 'a\u00a0', 'a\u3000', 'a\ufeff', '\ufeffa', 'a\u2028', 'a\u2003', 'a\t', '\ta', 'a\n', 'a\r\n', 'a\v', 'a\u0085'],
  ...['a b', 'a  b', 'a\u00a0b', 'a\u3000b', 'a\u2003b', 'a\u2009b', 'a\ufeffb', 'ab', 'a\u200bb', 'a\u200cb', 'a\u200db', 'a\u2060b', 'a\u00adb', 'a\u034fb', 'a\tb', 'a\nb'],
  ...['a\u200b', '\u200ba', 'a\u200d', '\u200d', '\u200b', '\u2060', '\u180e', 'a\u180e', '\u2800', '\u115f', '\u3164', 'a\ufe0f', 'a\u{e0100}', 'a\u{e0061}'],
  // NUL and other control characters.
  ...['\0', 'a\0', '\0a', 'a\0b', '\u0001', 'a\u0008', 'a\u001b[31m', 'a\u007f', 'a\u009f', '\\0', 'a\\0', '\\n', '\\u0000', '%00', 'a%00'],
  // Numbers to somebody.
  ...['0', '00', '-0', '+0', '0.0', '123', '0123', '00123', '+123', '123.0', '123abc', '0x7b', '100', '1e2', '1E2', '1e+2', '１２３', '١٢٣', '१२३', '1,000', '1_000'],
  ...['9007199254740992', '9007199254740993', 'NaN', 'Infinity', 'null', 'NULL', 'undefined', 'true', 'TRUE', '[object Object]', '[]', '{}', '""'],
  // Full-width, look-alikes.
  ...['abc', 'ABC', 'ａｂｃ', 'ＡＢＣ', 'аbc', 'АВС', 'ΑΒΓ', '𝐚𝐛𝐜', 'ⓐⓑⓒ', 'l', '|', 'O', 'О', 'Ο', 'paypal', 'pаypal', '-', '‐', '–', '−', '—', '‥', '․․'],
  // Quotes, patterns and statements.
  ...['%', '%%', '_', '__', 'a%', 'a_', '\\', '\\\\', "'", "''", '"', '`', '\\\'', "a'b", 'a"b', "a\\'b", '’', '?', '??', ':sku_id', '@a', '$1', '${a}', '{{a}}', '--', '/*', '*', ';'],
  ...["'; DROP TABLE stock; -- x", "' OR '1'='1", 'a\' UNION SELECT 1', '0x61', "x'61'", 'a\\', '<script>', '&amp;', '&', '=', 'a=b&c=d', '../../etc/passwd', '$(id)', '~', '^', ',', 'a,b'],
  // Addresses.
  ...['...', './a', '../a', 'a/.', 'a/..', '%2e', '%2E', '%2E%2E', '/', '//', '\\/', 'a/b', 'a%2Fb', 'a%2fb', 'a%252Fb', 'a\\b', '#', 'a#b', 'a?b', '?sku_id=a', '+', 'a+b', 'a%20b', 'a%2Bb', '%', '%zz', '%C3%A9', 'a;b', ':'],
  // Names with a meaning in JavaScript and in our own addresses.
  ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', 'length', 'lookup', 'flows', 'hot', 'sale', 'adjustments', 'deductions', 'sku_id'],
  // Emoji and direction marks.
  ...['😀', '😁', '😀\ufe0f', '👍', '👍🏽', '❤', '❤\ufe0f', '👨‍👩‍👧', '👨👩👧', '🇩🇪', '🇪🇩', 'אבג', 'גבא', 'abc\u202e', '\u202eabc', 'abc\u200e', 'abc\u200f', '\u2066abc\u2069', '\u061cabc'],
  // Not well-formed, and what that is often turned into.
  ...['\ud800', '\udc00', '\udfff', 'a\ud800', '\ud83d', '\ude00\ud83d', '\ufffd', 'a\ufffd', '\ufffd\ufffd', '\uffff', '\u{10ffff}', 'Ã©', 'cafÃ©', '�'],
  ...REPEATED,
  '',
].filter((id, place, all) => all.indexOf(id) === place);
