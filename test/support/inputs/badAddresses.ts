/** Texts that are not a valid percent-encoding of UTF-8. */
export const BAD_PERCENT_ENCODINGS = [
  '%',
  '%a',
  '%zz',
  '%%',
  '%2',
  '%u0041',
  'a%',
  '%-1',
  '%C3',
  '%E2%82',
  '%FF',
  '%C0%80',
  '%C0%AF',
  '%ED%A0%80',
  '%F4%90%80%80',
  '%80',
];

/** Wrong queries of `GET /v1/skus/*`, each with the path that its answer must name. */
export const BAD_SKU_QUERIES: readonly (readonly [query: string, path: string])[] = [
  ...['x=1', 'Consistency=cached', 'consistency%20=cached', '__proto__=1', 'constructor', 'toString=1'].map(
    (query) => [query, decodeURIComponent(query.replace(/=.*/, ''))] as const,
  ),
  ...[
    'consistency',
    'consistency=',
    'consistency=Cached',
    'consistency=cached%00',
    'consistency=+cached',
    'consistency=cached,primary',
  ].map((query) => [query, 'consistency'] as const),
  ['consistency=cached&consistency=cached', 'consistency'],
  ['consistency=cached&consistency=primary', 'consistency'],
  ['consistency=cached&%63onsistency=cached', 'consistency'],
  ['__proto__=1&__proto__=2', '__proto__'],
  ['=1', 'query'],
  ['=1&=2', 'query'],
  // By default the parser reads only 1,000 parameters.
  [`${'&'.repeat(2_000)}x=1`, 'x'],
];

/** Wrong queries of `GET /v1/deductions/*`. */
export function badDeductionQueries(sku: string): readonly string[] {
  return ['', '?', '?SKU_ID=a', '?sku_id', `?sku_id=${sku}&sku_id=${sku}`, `?sku_id[]=${sku}`, `?sku_id=${sku}&x`];
}

/** Addresses that no listener has. */
export function unknownPaths(sku: string): readonly string[] {
  return [
    '/',
    '//',
    '/v1',
    '/v1/',
    '/v2/skus/a',
    '/V1/skus/a',
    '/v1/skus/',
    '/v1/skus//a',
    '/v1//skus/a',
    `/v1/skus/${sku}/`,
    '/v1/skus/a/b/c',
    '/v1/../v1/skus/a',
    '/etc/passwd',
    '/v1/skus%2Fa',
    '//v1/skus/a',
    '/v1/deductions/',
  ];
}
