import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import fc from 'fast-check';
import pino from 'pino';
import {
  BAD_PERCENT_ENCODINGS,
  BAD_SKU_QUERIES,
  badDeductionQueries,
  unknownPaths,
} from '../support/inputs/badAddresses.ts';
import { badIdText, badNewIdText } from '../support/inputs/badIds.ts';
import { badInputs } from '../support/inputs/badInputs.ts';
import { NOT_JSON, NOT_UTF8, twiceNamed } from '../support/inputs/badJson.ts';
import { bodyCalls, idAddresses } from '../support/gateway/bodyCalls.ts';
import { brokenHttp } from '../support/gateway/brokenHttp.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { JSON_HEADERS, rawClient, sendBytes } from '../support/gateway/rawHttp.ts';
import type { RawCall } from '../support/gateway/rawHttp.ts';
import { expectProblem } from '../support/engines/refusal.ts';
import { stack } from '../support/run/setup.ts';
import { countUndecided, tableSums } from '../support/rows/tables.ts';

const AT_LEAST = 2_000;
const BODY_LIMIT = 256 * 1024;

describe('inputs over HTTP', () => {
  const client = rawClient();
  const faults: string[] = [];
  const [sku, detail] = [fresh('hostile'), fresh('detail')];
  const order = { order_id: 'order', lines: [{ order_detail_id: fresh('other'), sku_id: sku, quantity: 1 }] };
  const calls = bodyCalls(sku, detail, order);
  const addresses = idAddresses(sku, detail);
  let gateway: TestGateway;
  let rowsBefore: readonly string[];
  let sent = 0;

  const baseOf = (listener: 'public' | 'admin'): string =>
    listener === 'public' ? gateway.publicUrl : gateway.adminUrl;
  async function refused(
    listener: 'public' | 'admin',
    call: RawCall,
    status: number | readonly number[],
    path?: string,
  ): Promise<void> {
    sent += 1;
    const answer = await client.call(baseOf(listener), call);
    try {
      expectProblem(answer, status, path);
    } catch (error) {
      throw new Error(`${call.method} ${call.path} ${String(call.body).slice(0, 300)}`, { cause: error });
    }
  }
  const withBody = (
    call: (typeof calls)[number],
    body: string | Buffer,
    headers: Record<string, string> = JSON_HEADERS,
  ): RawCall => {
    const { method, path } = call;
    return { method, path, body, headers };
  };

  before(async () => {
    const log = pino({ level: 'error' }, { write: (line: string) => void faults.push(line) });
    gateway = await startTestGateway({}, stack(), log);
    await gateway.openSku(sku, 1_000);
    expect((await gateway.deduct({ sku_id: sku, order_detail_id: detail, quantity: 1 })).status).to.equal(201);
    // This gateway completes the unfinished carts of other tests.
    await eventually('no cart is undecided', 20_000, async () => (await countUndecided(stack().shards)) === 0);
    rowsBefore = await tableSums(stack().shards);
  });
  after(async () => {
    client.close();
    await gateway.stop();
  });

  for (const call of calls) {
    const { form, listener, good, method, path } = call;
    const text = JSON.stringify(good);
    const size = Buffer.byteLength(text);

    describe(`${method} ${path.replace(/-\d+-\d+/, '')}`, () => {
      it('names the wrong field of a body', () =>
        fc.assert(
          fc.asyncProperty(badInputs(form), ({ input, path: wrong }) =>
            refused(listener, withBody(call, JSON.stringify(input)), 400, wrong || 'body'),
          ),
          { numRuns: 300 },
        ));

      it('refuses a body that is not JSON, also one that is cut at any byte', async () => {
        const cutOff = Array.from({ length: size }, (_, length) => text.slice(0, length));
        for (const body of [...NOT_JSON, ...cutOff]) await refused(listener, withBody(call, body), 400, 'body');
      });

      it('refuses a body that is not UTF-8', async () => {
        const [start = '', end = ''] = text.split(/(?<=^\{")/);
        for (const [, bytes] of NOT_UTF8) {
          await refused(
            listener,
            withBody(call, Buffer.concat([Buffer.from(start), Buffer.from(bytes), Buffer.from(end)])),
            400,
            'body',
          );
        }
        for (const marked of [
          Buffer.from(`\ufeff${text}`, 'utf16le'),
          Buffer.from(text, 'utf16le'),
          Buffer.from(`\ufeff${text}`),
        ]) {
          await refused(listener, withBody(call, marked), 400, 'body');
        }
      });

      it('refuses a field named twice', () =>
        fc.assert(
          fc.asyncProperty(fc.nat({ max: 5 }), fc.nat({ max: 5 }), fc.boolean(), (owner, field, spelled) =>
            refused(listener, withBody(call, twiceNamed(good, owner, field, spelled)), 400, 'body'),
          ),
          { numRuns: 30 },
        ));

      it('refuses a body that is nested 100,000 deep', async () => {
        const arrays = '['.repeat(100_000) + ']'.repeat(100_000);
        const objects = '{"a":'.repeat(40_000) + '1' + '}'.repeat(40_000);
        for (const body of [arrays, '['.repeat(100_000), '{"a":'.repeat(40_000)])
          await refused(listener, withBody(call, body), 400, 'body');
        await refused(listener, withBody(call, objects), 400);
        for (const deep of [arrays, objects])
          await refused(listener, withBody(call, `${text.slice(0, -1)},"unknown":${deep}}`), 400, 'unknown');
      });

      it('refuses a body that is too large as soon as its size is known', async () => {
        const filled = (bytes: number): string => ' '.repeat(bytes - 2) + '{}';
        await refused(listener, withBody(call, filled(BODY_LIMIT)), 400);
        await refused(listener, withBody(call, filled(BODY_LIMIT + 1)), 413);
        await refused(listener, withBody(call, filled(10_000_000)), 413);
        const head = `${method} ${path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n`;
        const promised = await sendBytes(baseOf(listener), `${head}Content-Length: 10000000000\r\n\r\n`);
        const chunk = `${(100_000).toString(16)}\r\n${' '.repeat(100_000)}\r\n`;
        const chunked = await sendBytes(
          baseOf(listener),
          `${head}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(3)}`,
        );
        for (const answer of [promised, chunked]) expectProblem(answer, 413);
        sent += 2;
      });

      it('refuses a body that is compressed or not declared as JSON in UTF-8', async () => {
        const types = [
          '',
          'text/plain',
          'text/json',
          'application/jsonx',
          'application/json; charset=latin1',
          'application/json; charset=utf-16',
        ];
        types.push(
          'application/json, text/plain',
          'application/problem+json',
          'application/x-www-form-urlencoded',
          'multipart/form-data; boundary=x',
        );
        for (const type of types) await refused(listener, withBody(call, text, { 'Content-Type': type }), 415);
        await refused(listener, withBody(call, text, {}), 415);
        for (const coding of ['gzip', 'deflate', 'br', 'zstd', 'gzip, identity', 'x']) {
          await refused(listener, withBody(call, gzipSync(text), { ...JSON_HEADERS, 'Content-Encoding': coding }), 415);
        }
        await refused(listener, withBody(call, gzipSync(text)), 400, 'body');
      });
    });
  }

  describe('an address', () => {
    const encode = (id: string): string => encodeURIComponent(id).replaceAll('.', '%2E');
    const at = (address: (typeof addresses)[number], id: string): RawCall => ({
      method: address.method,
      path: address.path.replace('*', id),
      ...('body' in address ? { body: address.body, headers: JSON_HEADERS } : {}),
    });

    for (const address of addresses) {
      const shown = `${address.method} ${address.path.replaceAll(/-\d+-\d+/g, '')}`;
      it(`${shown}: refuses invalid ids`, async () => {
        await fc.assert(
          fc.asyncProperty(
            (address.path.includes('?sku_id=*') ? badIdText : badNewIdText).filter(
              (id) => id !== '' && id.isWellFormed(),
            ),
            (id) => refused(address.listener, at(address, encode(id)), 400, address.name),
          ),
          { numRuns: 60 },
        );
        const empty = address.path.endsWith('*') && address.path.includes('?') ? 400 : 404;
        await refused(address.listener, at(address, ''), empty, address.name);
      });

      it(`${shown}: refuses invalid percent-encoding`, async () => {
        for (const id of BAD_PERCENT_ENCODINGS) await refused(address.listener, at(address, id), 400, 'url');
      });
    }

    it('refuses parameters that are repeated, unknown, missing or wrong', async () => {
      for (const [query, path] of BAD_SKU_QUERIES)
        await refused('public', { method: 'GET', path: `/v1/skus/${sku}?${query}` }, 400, path);
      for (const query of badDeductionQueries(sku)) {
        await refused('public', { method: 'GET', path: `/v1/deductions/${detail}${query}` }, 400);
      }
    });

    it('is refused when it is unknown, or known with other methods only', async () => {
      for (const listener of ['public', 'admin'] as const) {
        for (const path of unknownPaths(sku)) {
          await refused(listener, { method: 'GET', path }, 404);
          await refused(listener, { method: 'POST', path, body: '{}', headers: JSON_HEADERS }, 404);
        }
      }
      for (const method of ['PUT', 'DELETE', 'PATCH', 'POST', 'OPTIONS', 'TRACE', 'PROPFIND'])
        await refused('public', { method, path: `/v1/skus/${sku}` }, 405);
      for (const method of ['GET', 'DELETE', 'PATCH', 'POST'])
        await refused('admin', { method, path: `/v1/skus/${sku}` }, 405);
      for (const method of ['GET', 'PUT', 'DELETE'])
        await refused('public', { method, path: '/v1/deductions' }, method === 'GET' ? [404, 405] : 405);
      await refused(
        'admin',
        { method: 'POST', path: '/v1/deductions', body: JSON.stringify(order), headers: JSON_HEADERS },
        404,
      );
      await refused(
        'public',
        {
          method: 'POST',
          path: `/v1/skus/${sku}/adjustments`,
          body: '{"adjustment_id":"a","delta":1}',
          headers: JSON_HEADERS,
        },
        404,
      );
    });
  });

  describe('a connection', () => {
    it('gets one clear answer to bytes that are not HTTP', async () => {
      for (const { name, bytes, statuses, end = false } of brokenHttp(JSON.stringify(order))) {
        sent += 1;
        const answer = await sendBytes(gateway.publicUrl, bytes, { end }).catch((error: unknown) => {
          throw new Error(name, { cause: error });
        });
        try {
          expectProblem(answer, statuses);
        } catch (error) {
          throw new Error(name, { cause: error });
        }
      }
    });

    it('gets one clear answer to random bytes', () =>
      fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
          sent += 1;
          expectProblem(await sendBytes(gateway.publicUrl, Buffer.from([0x80, ...bytes]), { end: true }), [400, 431]);
        }),
        { numRuns: 200 },
      ));
  });

  // Nested, because mocha runs a suite's own tests before the tests of suites inside it.
  describe('after all of them', () => {
    it('no row has changed, and no unforeseen fault was logged', async () => {
      expect(sent).to.be.at.least(AT_LEAST);
      expect(await tableSums(stack().shards)).to.deep.equal(rowsBefore);
      expect(faults).to.deep.equal([]);
    });
  });
});
