/** Every object inside a value, itself first. */
function objectsIn(value: unknown): Record<string, unknown>[] {
  if (typeof value !== 'object' || value === null) return [];
  const inner = Object.values(value).flatMap(objectsIn);
  return Array.isArray(value) ? inner : [value as Record<string, unknown>, ...inner];
}

/**
 * Writes a request as JSON with one field named twice.
 *
 * @param owner the number of the object; @param field the number of the field in that object; both wrap around
 * @param spelled true: the added name is written in escapes, another spelling of the same name
 */
export function twiceNamed(request: unknown, owner: number, field: number, spelled: boolean): string {
  const objects = objectsIn(request);
  const target = objects[owner % objects.length] ?? {};
  const names = Object.keys(target);
  const repeated = names[field % names.length] ?? '';
  const write = (value: unknown): string => {
    if (typeof value !== 'object' || value === null) return JSON.stringify(value);
    if (Array.isArray(value)) return `[${value.map(write).join(',')}]`;
    const members = Object.entries(value).map(([name, inner]) => `${JSON.stringify(name)}:${write(inner)}`);
    if (value === target)
      members.unshift(`${spelled ? inEscapes(repeated) : JSON.stringify(repeated)}:${write(target[repeated])}`);
    return `{${members.join(',')}}`;
  };
  return write(request);
}

function inEscapes(name: string): string {
  return `"${[...name].map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`;
}

/** Texts that are not JSON, or a form of JSON that must not be accepted as a request. */
export const NOT_JSON: readonly string[] = [
  ...[
    '',
    ' ',
    '\n',
    '{',
    '}',
    '[',
    '{}{}',
    '{} {}',
    '{},',
    '[1,]',
    '{"a":1,}',
    '{"a"}',
    '{"a":}',
    '{:1}',
    '{a:1}',
    "{'a':1}",
    '{"a":1 "b":2}',
  ],
  ...[
    'undefined',
    'NaN',
    '{"quantity":NaN}',
    '{"quantity":Infinity}',
    '{"quantity":+1}',
    '{"quantity":.5}',
    '{"quantity":1.}',
    '{"quantity":01}',
  ],
  ...[
    '{"quantity":0x10}',
    '{"quantity":1_000}',
    '{"quantity":1n}',
    '{"quantity":--1}',
    '{"quantity":1e}',
    'True',
    'nul',
    '"open',
    "'text'",
  ],
  ...[
    '// comment\n{}',
    '{/* */}',
    '{}//',
    '\ufeff{}',
    '{}\ufeff',
    '\0',
    '{}\0',
    '\u00a0{}',
    '{"a":"\n"}',
    '{"a":"\t"}',
    '{"a":"\0"}',
    '{"a":"\\x41"}',
  ],
  ...[
    '{"a":"\\u12"}',
    '{"a":"\\u{41}"}',
    '{"a":"\\"}',
    ")]}',\n{}",
    'a=1&b=2',
    '<order/>',
    '- yaml',
    '--boundary\r\n\r\n{}\r\n--boundary--',
  ],
];

/** Bytes that are not UTF-8, for use inside a text. */
export const NOT_UTF8: readonly (readonly [name: string, bytes: readonly number[]])[] = [
  ['a byte that never occurs', [0xff]],
  ['another one', [0xfe]],
  ['é of Latin-1', [0xe9]],
  ['a tail without a head', [0x80]],
  ['a head without a tail', [0xc3]],
  ['two of three bytes', [0xe2, 0x82]],

  ['three of four bytes', [0xf0, 0x9f, 0x98]],
  ['NUL in two bytes', [0xc0, 0x80]],
  ['/ in two bytes', [0xc0, 0xaf]],
  ['/ in three bytes', [0xe0, 0x80, 0xaf]],
  ['a high surrogate', [0xed, 0xa0, 0x80]],
  ['a pair of surrogates (CESU-8)', [0xed, 0xa0, 0xbd, 0xed, 0xb8, 0x80]],
  ['beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
  ['five bytes', [0xf8, 0x88, 0x80, 0x80, 0x80]],
];
