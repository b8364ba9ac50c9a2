import { expect } from 'chai';
import { loadConfig } from '../../src/config/config.ts';
import { ConfigError } from '../../src/config/configError.ts';
import type { Answer } from '../../scripts/support/httpClient.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { JSON_HEADERS, rawClient, sendBytes } from '../support/gateway/rawHttp.ts';
import { expectProblem } from '../support/engines/refusal.ts';
import { stack } from '../support/run/setup.ts';
import { tableSums } from '../support/rows/tables.ts';

const ENVIRONMENT = {
  HOST: '127.0.0.1',
  ADMIN_HOST: '127.0.0.1',
  STOCKGATE_TOKENS: 'alpha, beta',
  STOCKGATE_ADMIN_TOKENS: 'gamma',
};

describe('access', () => {
  const client = rawClient();
  let gateway: TestGateway;
  const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });

  before(async () => {
    gateway = await startTestGateway(ENVIRONMENT);
  });
  after(async () => {
    client.close();
    await gateway.stop();
  });

  /** Every call of both listeners, by the gateway's own description. */
  async function calls(): Promise<{ base: string; method: string; path: string; open: boolean }[]> {
    const { body } = await gateway.adminGet('/openapi.json', bearer('gamma'));
    return Object.entries(
      body.paths as Record<string, Record<string, { tags: string[]; security: unknown[] }>>,
    ).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { tags, security }]) => ({
        base: tags.includes('admin') ? gateway.adminUrl : gateway.publicUrl,
        method: method.toUpperCase(),
        path: path.replaceAll(/\{\w+\}/g, 'a'),
        open: security.length === 0,
      })),
    );
  }

  function expectUnauthorized(answer: Answer): void {
    expectProblem(answer, 401);
    expect(answer.body).to.include({ code: 'unauthorized' });
    expect(answer.headers).to.have.property('www-authenticate', 'Bearer');
  }

  it('requires a token on every call of both listeners, before it checks anything else', async () => {
    const before = await tableSums(stack().shards);
    const all = await calls();
    expect(all.filter(({ base }) => base === gateway.publicUrl)).to.have.length.above(3);
    expect(all.filter(({ open }) => open).map(({ path }) => path)).to.have.members(['/healthz', '/readyz']);
    const closed = all.filter(({ open }) => !open);
    for (const { base, method, path } of closed) {
      const wrong =
        base === gateway.adminUrl
          ? ['alpha', 'beta', 'gamm', 'gammaa', 'GAMMA']
          : ['gamma', 'alph', 'alphaa', 'ALPHA', 'alpha,beta', 'alpha, beta'];
      const headers = [{}, ...wrong.map(bearer)].map((one) => ({ ...JSON_HEADERS, ...one }));
      for (const body of ['{"leaved_amount":5}', '{']) {
        for (const one of headers) expectUnauthorized(await client.call(base, { method, path, headers: one, body }));
      }
    }
    expect(await tableSums(stack().shards)).to.deep.equal(before);
  });

  it('requires a token also at addresses that do not exist', async () => {
    for (const base of [gateway.publicUrl, gateway.adminUrl]) {
      for (const path of [
        '/',
        '/v1',
        '/healthz/',
        '//healthz',
        '/HEALTHZ',
        '/healthz%20',
        '/healthz;',
        '/v1/healthz',
        '/readyz/../metrics',
        '/metrics?/healthz',
      ]) {
        expectUnauthorized(await client.call(base, { method: 'GET', path }));
      }
    }
    expectUnauthorized(await client.call(gateway.publicUrl, { method: 'GET', path: '/healthz' }));
    expectUnauthorized(await sendBytes(gateway.adminUrl, 'GET http://healthz/metrics HTTP/1.1\r\nHost: test\r\n\r\n'));
  });

  it('rejects malformed headers', async () => {
    const wrong = [
      '',
      'alpha',
      'Bearer',
      'Bearer ',
      'Bearer:alpha',
      'Beareralpha',
      'Bearer "alpha"',
      'Bearer alpha alpha',
      'Bearer alpha;',
      'Basic alpha',
    ];
    wrong.push(
      'Basic YWxwaGE6YWxwaGE=',
      'Token alpha',
      'Bearer Bearer alpha',
      'Bearer undefined',
      'Bearer null',
      `Bearer ${'a'.repeat(4_000)}`,
      'Bearer ,',
      'Bearer alpha\u00a0',
    );
    wrong.push('Bearer\talpha', 'alpha Bearer', 'Bearer al pha', 'Bearer %61lpha', 'Bearer \u00e4lpha');
    for (const Authorization of wrong)
      expectUnauthorized(
        await client.call(gateway.publicUrl, { method: 'GET', path: '/v1/skus/a', headers: { Authorization } }),
      );
    for (const path of ['/v1/skus/a?token=alpha', '/v1/skus/a?access_token=alpha'])
      expectUnauthorized(await client.call(gateway.publicUrl, { method: 'GET', path }));
    const twice =
      'GET /v1/skus/a HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer wrong\r\nAuthorization: Bearer alpha\r\n\r\n';
    expectUnauthorized(await sendBytes(gateway.publicUrl, twice));
  });

  it('accepts each token on its own listener only', async () => {
    const path = `/v1/skus/${fresh('access')}`;
    for (const token of ['alpha', 'beta']) expect((await gateway.get(path, bearer(token))).status).to.equal(404);
    expect((await gateway.get(path, { Authorization: 'bearer  alpha ' })).status).to.equal(404);
    expect((await gateway.adminPut(path, { leaved_amount: 5 }, bearer('gamma'))).status).to.equal(201);
  });

  it('leaves healthz and readyz open, which reveal nothing about the topology', async () => {
    for (const path of ['/healthz', '/readyz']) {
      for (const headers of [{}, bearer('wrong')]) {
        const { status, body } = await gateway.adminGet(path, headers);
        expect(status).to.equal(200);
        expect(Object.keys(body as object)).to.have.members(
          path === '/healthz' ? ['status'] : ['status', 'durability'],
        );
      }
    }
  });

  it('refuses to listen beyond loopback without tokens', async () => {
    const beyond = ['0.0.0.0', '::', '192.0.2.1', 'example.com', '0', '127.0.0.1.example.com', '::ffff:0.0.0.0'];
    for (const [variable, without] of [
      ['HOST', 'STOCKGATE_TOKENS'],
      ['ADMIN_HOST', 'STOCKGATE_ADMIN_TOKENS'],
    ] as const) {
      for (const host of beyond) {
        for (const none of [undefined, '']) {
          const error: unknown = await startTestGateway({ ...ENVIRONMENT, [without]: none, [variable]: host }).then(
            (started) => started.stop(),
            (reason: unknown) => reason,
          );
          expect(error, `${variable} ${host}`).to.be.instanceOf(ConfigError);
          expect((error as ConfigError).faults.map(({ path }) => path)).to.deep.equal([variable]);
        }
      }
    }
    const config = await loadConfig(stack().environment);
    expect([config.public.host, config.admin.host]).to.deep.equal(['127.0.0.1', '127.0.0.1']);
  });
});
