import fc from 'fast-check';

/** The characters that `String.prototype.trim` and the contract treat as white space, except control characters. */
export const BLANKS = [
  ...' \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a',
  ...'\u2028\u2029\u202f\u205f\u3000\ufeff',
];

/** U+0000 to U+001F and U+007F to U+009F. */
export const CONTROLS = Array.from({ length: 0x20 + 0x21 }, (_, place) =>
  String.fromCharCode(place < 0x20 ? place : 0x7f + place - 0x20),
);

const LONE_SURROGATES = ['\ud800', '\udbff', '\udc00', '\udfff', '\udead', '\udc00\ud800'];

/** Ids that an existing row may have, but no new one. */
export const UNADDRESSABLE = ['.', '..'];

const bytesOf = (text: string): number => Buffer.byteLength(text, 'utf8');

/** Computed from the lists above, without the rule of the product. */
function isGood(text: string): boolean {
  const points = [...text];
  return (
    points.length > 0 &&
    bytesOf(text) <= 64 &&
    !UNADDRESSABLE.includes(text) &&
    !points.some((point) => CONTROLS.includes(point)) &&
    ![points.at(0), points.at(-1)].some((point) => BLANKS.includes(point ?? ''))
  );
}

/** Valid ids: as shops use them, of every possible character, and of the greatest length. */
export const goodId: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.stringMatching(/^[A-Za-z0-9]([A-Za-z0-9 ._/-]{0,20}[A-Za-z0-9])?$/) },
  { weight: 2, arbitrary: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter(isGood) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 16 }).filter(isGood) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...[
        'x'.repeat(64),
        'é'.repeat(32),
        `${'手'.repeat(21)}x`,
        '😀'.repeat(16),
        '__proto__',
        'constructor',
        '0',
        '...',
        '%',
        "';--",
        '\\0',
      ],
      ...['\u200b', 'a\u200d', '\u00ad', '\ufffd', 'a\u00a0b', 'e\u0301', '\u202eabc', '\u{10ffff}', '\uffff'],
    ),
  },
);

/** Ids that an existing row may have. */
export const goodStoredId: fc.Arbitrary<string> = fc.oneof(
  { weight: 20, arbitrary: goodId },
  { weight: 1, arbitrary: fc.constantFrom(...UNADDRESSABLE) },
);

const joined = (...parts: fc.Arbitrary<string>[]): fc.Arbitrary<string> =>
  fc.tuple(...parts).map((texts) => texts.join(''));

/** Inserts a text between two characters of an id. */
function inserted(text: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.tuple(goodId, text, fc.nat()).map(([id, piece, place]) => {
    const points = [...id];
    points.splice(place % (points.length + 1), 0, piece);
    return points.join('');
  });
}

const tooLong = fc
  .tuple(
    fc.constantFrom('x', 'é', '手', '😀', 'e\u0301'),
    fc.constantFrom(65, 66, 68, 128, 129, 255, 256, 1_000),
    fc.boolean(),
  )
  .map(([unit, bytes, mixed]) => {
    const units = unit.repeat(Math.ceil(bytes / bytesOf(unit)));
    return mixed ? `y${units}` : units;
  });

/** Texts that are not ids, each for one reason. An existing row cannot have them either. */
export const badIdText: fc.Arbitrary<string> = fc.oneof(
  fc.constant(''),
  fc.constantFrom(...BLANKS),
  joined(fc.constantFrom(...BLANKS), goodId),
  joined(goodId, fc.constantFrom(...BLANKS)),
  inserted(fc.constantFrom(...CONTROLS)),
  inserted(fc.constantFrom(...LONE_SURROGATES)),
  tooLong,
  // Equal to an id in the first 64 bytes.
  fc.constantFrom('a', 'b', 'é', ' ').map((last) => 'x'.repeat(64) + last),
);

/** Texts that are not valid as a new id, nor in a path. */
export const badNewIdText: fc.Arbitrary<string> = fc.oneof(
  { weight: 8, arbitrary: badIdText },
  { weight: 1, arbitrary: fc.constantFrom(...UNADDRESSABLE) },
);
