import { expect } from 'chai';
import { startGateway } from '../../src/app/startGateway.ts';
import type { Gateway } from '../../src/app/startGateway.ts';
import type { BackendPorts } from '../../src/app/backendPorts.ts';
import { loadConfig } from '../../src/config/config.ts';
import type { Operation } from '../../src/core/operation.ts';
import { createLog } from '../../src/log.ts';
import { httpClient } from '../../scripts/support/httpClient.ts';
import type { HttpClient } from '../../scripts/support/httpClient.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { hotRowsOf, rowsBalance } from '../support/hot/hotRows.ts';
import { stack } from '../support/run/setup.ts';

const UNITS = 20_000;
const SUB_ROWS = 16;
const CLIENTS = 64;
/** Bound on the deductions per order; the rows of all shards are read at once. */
const STEPS_MAX = 5;
const TIMEOUT_MS = 300_000;

/** The calls of a gateway to its shards. */
interface Calls {
  /** Operations by kind. */
  readonly operations: Map<string, number>;
  /** Other calls by name. */
  readonly calls: Map<string, number>;
}

describe('the last units of a hot SKU', () => {
  let gateway: Gateway;
  let client: HttpClient;
  let made: Calls = { operations: new Map(), calls: new Map() };
  const sku_id = fresh('last units');

  const count = (counts: Map<string, number>, name: string): void => void counts.set(name, (counts.get(name) ?? 0) + 1);
  const counting = (ports: BackendPorts): BackendPorts => {
    const around = (name: string, port: object): object =>
      new Proxy(port, {
        get(target, key) {
          const method: unknown = Reflect.get(target, key);
          if (typeof method !== 'function') return method;
          return (...given: unknown[]): unknown => {
            if (name === 'engine')
              for (const operation of given[1] as readonly Operation[])
                count(made.operations, 'credits' in operation ? `${operation.kind} again` : operation.kind);
            else if (name === 'hotRows' || name === 'layouts') count(made.calls, `${name}.${String(key)}`);
            return Reflect.apply(method, target, given) as unknown;
          };
        },
      });
    return Object.fromEntries(
      Object.entries(ports).map(([name, port]) => [name, around(name, port as object)]),
    ) as unknown as BackendPorts;
  };

  before(async () => {
    gateway = await startGateway(
      await loadConfig({ ...stack().environment, PORT: '0', ADMIN_PORT: '0' }),
      createLog('silent'),
      counting,
    );
    client = httpClient(CLIENTS);
    const url = `${gateway.adminUrl}/v1/skus/${encodeURIComponent(sku_id)}`;
    expect((await client.call({ method: 'PUT', url, body: { leaved_amount: UNITS } })).status).to.equal(201);
    expect((await client.call({ method: 'PUT', url: `${url}/hot`, body: { sub_rows: SUB_ROWS } })).status).to.equal(
      200,
    );
  });

  after(async () => {
    client.close();
    await gateway.drain();
  });

  it(`cost a bounded number of steps, shared by all waiting orders; the figures are printed`, async () => {
    let [left, number] = [UNITS, 0];
    const sellDownTo = async (rest: number): Promise<string> => {
      made = { operations: new Map(), calls: new Map() };
      const [from, begunMs] = [number, performance.now()];
      await Promise.all(
        Array.from({ length: CLIENTS }, async () => {
          while (left > rest) {
            number += 1;
            left -= 1;
            const order = `o${number}`;
            for (let status = 503; status === 503;) {
              const answer = await client.call({
                method: 'POST',
                url: `${gateway.publicUrl}/v1/deductions`,
                body: { order_id: order, lines: [{ order_detail_id: order, sku_id, quantity: 1 }] },
              });
              status = answer.status;
            }
          }
        }),
      );
      const orders = number - from;
      const each = (counts: Map<string, number>): string =>
        [...counts]
          .sort()
          .map(([name, times]) => `${name} ${(times / orders).toFixed(3)}`)
          .join(', ');
      const tookMs = Math.round(performance.now() - begunMs);
      return `${orders} orders in ${tookMs} ms; per order: ${each(made.operations)}; ${each(made.calls)}`;
    };
    console.log(`      down to 2 %: ${await sellDownTo(UNITS / 50)}`);
    console.log(`      from 2 % to 1 %: ${await sellDownTo(UNITS / 100)}`);
    console.log(`      the last 1 %: ${await sellDownTo(0)}`);
    const perOrder = (name: string): number => (made.operations.get(name) ?? 0) / (UNITS / 100);
    // The first attempt, and one more with the units that were moved.
    expect(perOrder('deduct') + perOrder('deduct again'), 'attempts of an order').to.be.below(STEPS_MAX);
    expect((await hotRowsOf(stack(), sku_id)).reduce((sum, { leaved_amount }) => sum + leaved_amount, 0)).to.equal(0);
    await rowsBalance(stack(), sku_id);
  }).timeout(TIMEOUT_MS);
});
