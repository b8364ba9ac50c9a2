import { request } from 'node:http';
import { expect } from 'chai';
import type { Reply } from '../../src/http/errors.ts';
import { json, problem } from '../../src/http/errors.ts';
import { listenerApp } from '../../src/http/listener.ts';
import { isJsonInUtf8 } from '../../src/http/mediaType.ts';
import { route } from '../../src/http/route.ts';
import { listen } from '../../src/http/server.ts';
import type { RunningServer } from '../../src/http/server.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { exchange, JSON_HEADERS, rawClient, sendBytes } from '../support/gateway/rawHttp.ts';

const NO_STORE = 'no-store';
const HOST = 'Host: test\r\n';
const ADMIN_PAGES = ['/metrics', '/healthz', '/readyz', '/openapi.json', '/v1/shards', '/docs'];

/** A request and the status of its answer. */
type Case = readonly [
  listener: 'public' | 'admin',
  status: number,
  method: string,
  path: string,
  body?: string,
  headers?: Record<string, string>,
];

describe('headers', () => {
  const client = rawClient();
  const sku = fresh('headers');
  let gateway: TestGateway;
  before(async () => {
    gateway = await startTestGateway();
    await gateway.openSku(sku, 5);
  });
  after(async () => {
    client.close();
    await gateway.stop();
  });

  const lookup = JSON.stringify({ lines: [{ order_detail_id: 'd', sku_id: 's' }] });
  const send = (headers: Record<string, string>) =>
    client.call(gateway.publicUrl, { method: 'POST', path: '/v1/deductions/lookup', body: lookup, headers });

  describe('Content-Type', () => {
    const json = [
      ...['application/json', 'Application/JSON', 'application/json;', 'application/json ; ', 'application/json;;'],
      ...['application/json; charset=utf8', 'application/json;charset=UTF-8', 'application/json; Charset="utf-8"'],
      ...['application/json; charset="UTF8"', 'application/json; charset="u\\tf-8"'],
      ...['application/json; version=1; charset="UTF-8"', 'application/json; a="x;charset=latin1"'],
      ...['application/json; a="\\"; charset=latin1"', 'application/json; profile="https://x.example/y"; q=1'],
      ...['application/json; charset=utf-8; charset=utf-8', 'application/json\t;\ta=b'],
    ];
    const others = [
      ...['', 'text/json', 'application/jsonx', 'application/json-patch+json', 'application/problem+json'],
      ...['application', 'json', 'text/plain', 'application/json; charset=latin1'],
      ...['application/json; charset="latin1"', 'application/json; charset=utf-16', 'application/json; charset='],
      ...['application/json; charset=""', 'application/json; charset=utf-8; charset=latin1'],
      ...['application/json; charset="utf-8', 'application/json; charset =utf-8', 'application/json; a'],
      ...['application/json, text/plain', 'application/json charset=utf-8', 'application/json; charset=utf-8x'],
      ...['application/json; charset=x-utf-8'],
    ];

    it('may be JSON in any letter case with any parameters', async () => {
      for (const type of json) {
        expect(isJsonInUtf8(type), type).to.equal(true);
        expect((await send({ 'Content-Type': type })).status, type).to.equal(200);
      }
    });

    it('is refused with its name and value in all other cases', async () => {
      for (const type of others) {
        expect(isJsonInUtf8(type), type).to.equal(false);
        const { status, body } = await send({ 'Content-Type': type });
        const rule = 'Content-Type must be application/json, with no charset but utf-8';
        expect([status, body.detail]).to.deep.equal([415, `${rule}, found ${JSON.stringify(type)}`]);
      }
      expect((await send({})).body.detail).to.match(/^Content-Type must be .* found none$/);
    });

    it('is parsed in time proportional to its length', () => {
      // Work that grows with the square of the length would take minutes here.
      for (const part of [';', ' ', '; ', ';a=b', ';a="', ';a="\\"']) {
        expect(isJsonInUtf8(`application/json${part.repeat(200_000)}@`), part).to.equal(false);
      }
    });
  });

  describe('Content-Encoding', () => {
    it('may be absent, empty or identity in any letter case', async () => {
      for (const coding of ['', 'identity', 'Identity', 'IDENTITY']) {
        expect((await send({ ...JSON_HEADERS, 'Content-Encoding': coding })).status, coding).to.equal(200);
      }
    });

    it('is refused with its name and value in all other cases', async () => {
      for (const coding of ['gzip', 'br', 'identity, gzip', 'identityx', 'x']) {
        const { status, body } = await send({ ...JSON_HEADERS, 'Content-Encoding': coding });
        const rule = 'Content-Encoding must be absent, empty or identity';
        expect([status, body.detail]).to.deep.equal([415, `${rule}, found "${coding}"`]);
      }
    });
  });

  describe('Cache-Control', () => {
    it('is no-store on all answers of both listeners', async () => {
      const body = '{"sku_ids":["a"],"consistency":"cached"}';
      const cases: readonly Case[] = [
        ['public', 200, 'GET', `/v1/skus/${sku}`],
        ['public', 200, 'POST', '/v1/availability', body],
        ['public', 400, 'POST', '/v1/availability', '{}'],
        ['public', 400, 'GET', '/v1/skus/%FF'],
        ['public', 404, 'GET', '/none'],
        ['public', 404, 'GET', `/v1/skus/${fresh('none')}`],
        ['public', 405, 'OPTIONS', `/v1/skus/${sku}`],
        ['public', 200, 'HEAD', `/v1/skus/${sku}`],
        ['public', 405, 'HEAD', '/v1/availability'],
        ['public', 405, 'TRACE', `/v1/skus/${sku}`],
        ['public', 413, 'POST', '/v1/availability', ' '.repeat(300_000)],
        ['public', 415, 'POST', '/v1/availability', body, { 'Content-Type': 'text/plain' }],
        ['admin', 201, 'PUT', `/v1/skus/${fresh('headers')}`, '{"leaved_amount":5}'],
        ['admin', 409, 'PUT', `/v1/skus/${sku}`, '{"leaved_amount":6}'],
        ...ADMIN_PAGES.map((path) => ['admin', 200, 'GET', path] as const),
      ];
      for (const [listener, status, method, path, content, headers = JSON_HEADERS] of cases) {
        const base = listener === 'public' ? gateway.publicUrl : gateway.adminUrl;
        const sent = content === undefined ? {} : { body: content, headers };
        const answer = await client.call(base, { method, path, ...sent });
        expect([answer.status, answer.headers['cache-control']], `${method} ${path}`).to.deep.equal([status, NO_STORE]);
      }
    });

    it('is no-store on answers to bytes that are not HTTP', async () => {
      const tooLarge = `GET /${'x'.repeat(9_000)} HTTP/1.1\r\n${HOST}\r\n`;
      const broken = ['NONE\r\n\r\n', tooLarge, 'GET /v1/skus/a HTTP/1.1\r\n\r\n'];
      for (const [index, status] of [400, 431, 400].entries()) {
        const answer = await sendBytes(gateway.publicUrl, broken[index] ?? '');
        expect([answer.status, answer.headers['cache-control']]).to.deep.equal([status, NO_STORE]);
      }
    });

    describe('of a listener that fails', () => {
      let server: RunningServer;
      let faults = 0;
      const answering = (path: string, handle: () => Reply) =>
        route({ method: 'get', path, answers: {}, problems: [], handle });
      before(async () => {
        const routes = [
          answering('/fails', () => {
            throw new Error('unforeseen');
          }),
          answering('/overloaded', () => problem('overloaded', 'busy')),
          answering('/fine', () => json(200, {})),
        ];
        const app = listenerApp({
          routes,
          tokens: ['token'],
          requestMs: 1_000,
          mayCall: async (caller) => (caller === '' ? true : faults < 2),
          onAnswered: () => undefined,
          onFault: () => void (faults += 1),
          isDraining: () => false,
        });
        server = await listen(app, ['GET'], '127.0.0.1', 0);
      });
      after(() => server.drain(0));

      it('is no-store on faults, refused callers and invalid URLs', async () => {
        const base = `http://127.0.0.1:${server.port}`;
        const get = async (url: string, token = 'token') => {
          const authorization = `Authorization: Bearer ${token}\r\n`;
          const { status, headers } = await sendBytes(base, `GET ${url} HTTP/1.1\r\n${HOST}${authorization}\r\n`);
          return [status, headers['cache-control']];
        };
        const answers = [];
        const urls = ['/fine', '/overloaded', '/fails', '/none', 'http://[::1', 'http://xn--/'];
        for (const url of urls) answers.push(await get(url));
        expect(answers).to.deep.equal([200, 503, 500, 404, 400, 400].map((status) => [status, NO_STORE]));
        expect(faults).to.equal(1);
        for (const url of ['/fine', 'http://[::1']) expect((await get(url, 'wrong'))[1], url).to.equal(NO_STORE);
        await get('/fails');
        expect(await get('/fine')).to.deep.equal([429, NO_STORE]);
      });
    });
  });

  describe('CONNECT', () => {
    const CONNECT = `CONNECT shop.example:443 HTTP/1.1\r\n${HOST}`;

    it('is answered with a 405 that names the methods, and the connection ends', async () => {
      const listeners = [
        [gateway.publicUrl, 'POST, GET'],
        [gateway.adminUrl, 'PUT, POST, GET, DELETE'],
      ] as const;
      for (const [base, allow] of listeners) {
        const { answers, closedAfterMs } = await exchange(base, `${CONNECT}X-Request-Id: mine\r\n\r\nleft over`);
        const [answer] = answers;
        expect(answers).to.have.length(1);
        expect(answer?.body).to.include({ status: 405, code: 'method_not_allowed' });
        expect(answer?.headers).to.include({
          allow,
          'cache-control': NO_STORE,
          connection: 'close',
          'x-request-id': 'mine',
        });
        expect(answer?.headers).to.include({ 'content-type': 'application/problem+json' });
        expect(closedAfterMs).to.be.a('number');
      }
    });

    it('is answered after the answers of all requests before it', async () => {
      const line = { order_detail_id: fresh('d'), sku_id: sku, quantity: 1 };
      const order = JSON.stringify({ order_id: 'o', lines: [line] });
      const fields = `${HOST}Content-Type: application/json\r\nContent-Length: ${order.length}\r\n`;
      const deduct = `POST /v1/deductions HTTP/1.1\r\n${fields}\r\n${order}`;
      const other = `GET /none HTTP/1.1\r\n${HOST}\r\n`;
      const bytes = `${deduct}${other}${deduct}${CONNECT}\r\n`;
      const { answers, closedAfterMs } = await exchange(gateway.publicUrl, bytes);
      expect(answers.map(({ status }) => status)).to.deep.equal([201, 404, 200, 405]);
      expect(closedAfterMs).to.be.a('number');
    });

    it('does not prevent a gateway from draining', async () => {
      const other = await startTestGateway();
      await exchange(other.publicUrl, `${CONNECT}\r\n`, { answersMax: 1 });
      await other.stop();
    });
  });

  it('treats an unsupported upgrade as an ordinary request', async () => {
    const upgrade = `GET /v1/skus/${sku} HTTP/1.1\r\n${HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
    const { answers } = await exchange(gateway.publicUrl, upgrade, { answersMax: 1 });
    expect(answers.map(({ status }) => status)).to.deep.equal([200]);
    const more = { 'Content-Type': 'application/json', Connection: 'Upgrade', Upgrade: 'h2c' };
    const status = await new Promise((resolve, reject) => {
      const outgoing = request(`${gateway.publicUrl}/v1/deductions/lookup`, { method: 'POST', headers: more });
      outgoing.on('response', (response) => resolve(response.resume().statusCode));
      outgoing.on('error', reject).end(lookup);
    });
    expect(status).to.equal(200);
  });
});
