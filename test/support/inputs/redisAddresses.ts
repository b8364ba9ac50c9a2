/** Addresses of Redis, and how each is parsed. */
export const REDIS_ADDRESSES: readonly (readonly [text: string, address: object])[] = [
  ['redis://127.0.0.1:6379', { mode: 'single', nodes: [{ host: '127.0.0.1', port: 6_379 }] }],
  [
    'redis://shop@cache.example:6379',
    { mode: 'single', username: 'shop', nodes: [{ host: 'cache.example', port: 6_379 }] },
  ],
  [
    'redis+cluster://a:7000,[::1]:7001',
    {
      mode: 'cluster',
      nodes: [
        { host: 'a', port: 7_000 },
        { host: '::1', port: 7_001 },
      ],
    },
  ],
  [
    'redis+sentinel://a:26379,b:26379/mymaster',
    {
      mode: 'sentinel',
      sentinelName: 'mymaster',
      nodes: [
        { host: 'a', port: 26_379 },
        { host: 'b', port: 26_379 },
      ],
    },
  ],
];

/** Texts that are not addresses of Redis. */
export const NOT_REDIS_ADDRESSES = [
  '',
  'redis://',
  'redis://a',
  'redis://a:0',
  'redis://a:65536',
  'redis://a:1,b:2',
  'redis+sentinel://a:1',
  'redis://a:1/name',
  'http://a:1',
  'redis://user:secret@a:1',
];
