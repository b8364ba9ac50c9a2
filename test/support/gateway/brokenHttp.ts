/** A request written by hand, byte for byte. */
export interface BrokenRequest {
  readonly name: string;
  readonly bytes: string | Buffer;
  readonly statuses: readonly number[];
  /** True when the client closes its sending side after these bytes. */
  readonly end?: boolean;
}

const HEAD = 'POST /v1/deductions HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n';

/** @param body a complete and valid request body */
function framings(body: string): BrokenRequest[] {
  const chunk = `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n`;
  const chunked = (text: string, more = ''): string => `${HEAD}Transfer-Encoding: chunked\r\n${more}\r\n${text}`;
  const sized = (length: string | number, text = body): string => `${HEAD}Content-Length: ${length}\r\n\r\n${text}`;
  const size = Buffer.byteLength(body);
  const bad = (name: string, bytes: string | Buffer, end = false): BrokenRequest => ({
    name,
    bytes,
    end,
    statuses: [400],
  });
  return [
    ...['-1', '+5', '0x10', '1e3', '1.5', 'five', '5, 6', '5 6', '99999999999999999999', ''].map((length) =>
      bad(`Content-Length: ${length}`, sized(length)),
    ),
    bad('a length that is too short', sized(size - 1)),
    bad('a length of zero', sized(0)),
    bad('a length that is too long', sized(size + 1), true),
    bad('a body that never comes', sized(size, ''), true),
    bad('two lengths', `${HEAD}Content-Length: ${size}\r\nContent-Length: ${size - 1}\r\n\r\n${body}`),
    bad('a length and chunks', chunked(`${chunk}0\r\n\r\n`, `Content-Length: ${size}\r\n`)),
    ...['zz', '-5', '0x5', '', ' ', 'fffffffffffffffffffff', '5;', 'é'].map((lie) =>
      bad(`a chunk of size ${JSON.stringify(lie)}`, chunked(`${lie}\r\n${body}\r\n0\r\n\r\n`), true),
    ),
    bad('a chunk longer than its stated size', chunked(`5\r\n${body}\r\n0\r\n\r\n`)),
    bad('a chunk shorter than its stated size', chunked(`fff\r\n${body}\r\n0\r\n\r\n`), true),
    bad('chunks without an end', chunked(chunk), true),
    bad('no chunk at all', chunked(''), true),
    bad('only the last chunk', chunked('0\r\n\r\n')),
    bad('a chunk with an extension without end', chunked(`5;${'x'.repeat(50_000)}\r\n`)),
    ...['gzip', 'chunked, gzip', 'xchunked', 'identity', 'chunked;q=1'].map((coding) =>
      bad(`Transfer-Encoding: ${coding}`, `${HEAD}Transfer-Encoding: ${coding}\r\n\r\n${chunk}0\r\n\r\n`, true),
    ),
  ];
}

/** Requests that are invalid before any body. */
const HEADS: readonly BrokenRequest[] = [
  { name: 'no Host', bytes: 'GET /v1/skus/a HTTP/1.1\r\n\r\n', statuses: [400] },
  {
    name: 'no Host, and a body',
    bytes: 'POST /v1/deductions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}',
    statuses: [400],
  },
  {
    name: 'an unknown expectation',
    bytes: `${HEAD}Expect: miracles\r\nContent-Length: 2\r\n\r\n{}`,
    statuses: [400],
  },
  { name: 'HTTP/2 without an upgrade', bytes: 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', statuses: [400] },
  { name: 'HTTP/9.9', bytes: 'GET /v1/skus/a HTTP/9.9\r\nHost: test\r\n\r\n', statuses: [400] },
  { name: 'HTTP/0.9', bytes: 'GET /none\r\n\r\n', statuses: [404] },
  { name: 'no version', bytes: 'GET /v1/skus/a \r\nHost: test\r\n\r\n', statuses: [400] },
  { name: 'an unknown method', bytes: 'TAKE /v1/skus/a HTTP/1.1\r\nHost: test\r\n\r\n', statuses: [400] },
  { name: 'a method in small letters', bytes: 'get /v1/skus/a HTTP/1.1\r\nHost: test\r\n\r\n', statuses: [400] },
  { name: 'no address', bytes: 'GET HTTP/1.1\r\nHost: test\r\n\r\n', statuses: [400] },
  { name: 'a blank in the address', bytes: 'GET /v1/skus/a b HTTP/1.1\r\nHost: test\r\n\r\n', statuses: [400] },
  { name: 'a tab in the address', bytes: 'GET /v1/skus/a\tb HTTP/1.1\r\nHost: test\r\n\r\n', statuses: [400] },
  { name: 'NUL in the address', bytes: 'GET /v1/skus/a\0b HTTP/1.1\r\nHost: test\r\n\r\n', statuses: [400] },
  { name: 'a bare # in the address', bytes: 'GET /v1/skus/a#b HTTP/1.1\r\nHost: test\r\n\r\n', statuses: [400] },
  {
    name: 'a bare # in the query',
    bytes: 'GET /v1/skus/a?consistency=cached#b HTTP/1.1\r\nHost: test\r\n\r\n',
    statuses: [400],
  },
  { name: 'bare UTF-8 in the address', bytes: 'GET /v1/skus/à HTTP/1.1\r\nHost: test\r\n\r\n', statuses: [400] },
  {
    name: 'bare Latin-1 in the address',
    bytes: Buffer.from('GET /v1/skus/a\xa0 HTTP/1.1\r\nHost: test\r\n\r\n', 'latin1'),
    statuses: [400],
  },
  { name: 'a header without a name', bytes: 'GET /v1/skus/a HTTP/1.1\r\nHost: test\r\n: x\r\n\r\n', statuses: [400] },
  {
    name: 'a blank before the colon',
    bytes: 'GET /v1/skus/a HTTP/1.1\r\nHost: test\r\nA : x\r\n\r\n',
    statuses: [400],
  },
  { name: 'a folded header', bytes: 'GET /v1/skus/a HTTP/1.1\r\nHost: test\r\nA: x\r\n\ty\0\r\n\r\n', statuses: [400] },
  { name: 'NUL in a header', bytes: 'GET /v1/skus/a HTTP/1.1\r\nHost: test\r\nA: x\0y\r\n\r\n', statuses: [400] },
  { name: 'lines that end in LF', bytes: 'GET /v1/skus/a b HTTP/1.1\nHost: test\n\n', statuses: [400] },
  { name: 'TLS', bytes: Buffer.from('160301020001000001fc0303', 'hex'), statuses: [400] },
  { name: 'mail', bytes: 'HELO test\r\n', statuses: [400] },
  { name: 'Redis', bytes: '*1\r\n$4\r\nPING\r\n', statuses: [400] },
  { name: 'half a request line', bytes: 'GET /v1/sk', end: true, statuses: [400] },
  { name: 'half a header', bytes: 'GET /v1/skus/a HTTP/1.1\r\nHos', end: true, statuses: [400] },
  ...[9_000, 100_000, 1_000_000].map((size) => ({
    name: `a header of ${size} bytes`,
    bytes: `GET /v1/skus/a HTTP/1.1\r\nHost: test\r\nA: ${'x'.repeat(size)}\r\n\r\n`,
    statuses: [431],
  })),
  {
    name: 'a header name of 9,000 bytes',
    bytes: `GET /v1/skus/a HTTP/1.1\r\nHost: test\r\n${'x'.repeat(9_000)}: a\r\n\r\n`,
    statuses: [431],
  },
  {
    name: '2,000 headers',
    bytes: `GET /v1/skus/a HTTP/1.1\r\nHost: test\r\n${'one-of-many: header\r\n'.repeat(2_000)}\r\n`,
    statuses: [431],
  },
  {
    name: 'an address of 9,000 bytes',
    bytes: `GET /v1/skus/${'x'.repeat(9_000)} HTTP/1.1\r\nHost: test\r\n\r\n`,
    statuses: [431],
  },
  {
    name: 'a query of 9,000 bytes',
    bytes: `GET /v1/skus/a?${'&'.repeat(9_000)} HTTP/1.1\r\nHost: test\r\n\r\n`,
    statuses: [431],
  },
];

/** Every fault in HTTP itself. */
export function brokenHttp(body: string): readonly BrokenRequest[] {
  return [...framings(body), ...HEADS];
}
