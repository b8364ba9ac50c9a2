/** Cursors that are refused, made from a good one. */
export function badCursors(good: string): readonly string[] {
  const written = (parts: unknown): string => Buffer.from(JSON.stringify(parts)).toString('base64url');
  const [, time] = JSON.parse(Buffer.from(good, 'base64url').toString()) as [number, string];
  return [
    ...[
      '',
      '!',
      'null',
      'e30',
      `${good}=`,
      `${good}A`,
      good.slice(1),
      good.slice(0, -1),
      `%20${good}`,
      encodeURIComponent(`${good}\n`),
    ],
    ...[
      null,
      {},
      [],
      [1, time, 1, 'a'],
      [2, time, 1, 'a', ''],
      [1, time, 3, 'a', ''],
      [1, time, -1, 'a', ''],
      [1, time, '1', 'a', ''],
    ].map(written),
    ...[
      [1, time, 1, '', ''],
      [1, time, 1, 'a', 'b'],
      [1, time, 1, 'a '.repeat(40), ''],
      [1, time, 0, 'a', ' b'],
      [1, time, 1, 5, ''],
    ].map(written),
    ...[
      '',
      '2026',
      '2026-02-30T10:00:00.000000Z',
      '2026-13-01T10:00:00.000000Z',
      '0000-01-01T00:00:00.000000Z',
      time.replace('Z', ''),
      `${time}' OR 1 -- `,
    ].map((moment) => written([1, moment, 1, 'a', ''])),
  ];
}
