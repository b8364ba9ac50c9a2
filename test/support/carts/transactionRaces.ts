import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { inParallel } from '../../../scripts/support/inParallel.ts';
import type { OrderOutcome } from '../../../src/service/orders/deductOrder.ts';
import { skuOn } from '../engines/traffic.ts';
import { fresh } from '../gateway/gateway.ts';
import { cartRows, linesOf, nothingHeld } from './cartRows.ts';
import {
  ABANDONED_MS,
  isDecision,
  openTransactionBench,
  transactionOf,
  withOlderTransactions,
  withSteps,
} from './transactionBench.ts';
import type { TransactionBench } from './transactionBench.ts';
import { onAllShards } from './transactionRows.ts';

/** Orders under way at once. */
const WIDTH = 8;
const REQUEST_MS = 5_000;
const HELD_MS = 30_000;
/** The longest lead of one of two rivals, in milliseconds: about the time of a decision. */
const LEAD_MS = 6;
/** One SKU on the first server and two on the second, which coordinates. */
const SHARDS = [3, 12, 13];
/** The time for one race, on a busy machine. */
const RACE_MS = 500;

/** One order, and the outcomes that its gateways answered. */
interface Raced {
  readonly order_id: string;
  readonly outcomes: readonly OrderOutcome[];
}

/** Declares the races of a transaction. @param count how many of each kind */
export function transactionRaces(count: number): void {
  describe(`an order over two servers, raced ${count} times`, () => {
    let benches: readonly [TransactionBench, TransactionBench, TransactionBench];
    before(async () => {
      benches = [await openTransactionBench(), await openTransactionBench(), await openTransactionBench()];
    });
    after(() => {
      for (const bench of benches) bench.close();
    });

    const openSkus = async (name: string): Promise<string[]> => {
      const sku_ids = SHARDS.map((shard) => skuOn(shard, name));
      for (const sku_id of sku_ids) await benches[0].open(sku_id, count + 10);
      return sku_ids;
    };

    it('has one effect when three gateways sell it at once', async () => {
      const name = fresh('same');
      const sku_ids = await openSkus(name);
      const raced: Raced[] = [];
      await inParallel(
        Array.from({ length: count }, (_, number) => `${name} ${number}`),
        WIDTH,
        async (order_id) => {
          const lines = linesOf(sku_ids, order_id);
          const outcomes = await Promise.all(
            benches.map(async (bench) => {
              await sleep(Math.random() * LEAD_MS);
              return bench.sell(order_id, lines, { ms: REQUEST_MS });
            }),
          );
          raced.push({ order_id, outcomes });
        },
      );
      const wrong: string[] = [];
      for (const { order_id, outcomes } of raced) {
        const sold = outcomes.filter((outcome) => outcome.is === 'deducted');
        const first = sold.filter(({ lines }) => lines.some(({ replayed }) => !replayed));
        // Enough units are left for all orders, so none is refused; one may have to be sent again.
        const isRight = sold.length > 0 && first.length <= 1 && outcomes.every(({ is }) => is !== 'refused');
        if (!isRight) wrong.push(`${order_id}: ${JSON.stringify(outcomes)}`);
      }
      expect(wrong).to.deep.equal([]);
      await expectBooks(name, sku_ids, raced);
    }).timeout(60_000 + count * RACE_MS);

    it('is sold or aborted, and not both, when another gateway aborts it during its decision', async () => {
      const name = fresh('abort');
      const sku_ids = await openSkus(name);
      const raced: Raced[] = [];
      const states = new Map<string, string>();
      const wrong: string[] = [];
      await inParallel(
        Array.from({ length: count }, (_, number) => `${name} ${number}`),
        WIDTH,
        async (order_id) => {
          const resolved: Promise<void>[] = [];
          const outcome = await benches[0].sell(order_id, linesOf(sku_ids, order_id), {
            ms: REQUEST_MS,
            around: (parts) =>
              withSteps({
                before: async (step) => {
                  const transaction = transactionOf(step);
                  if (!isDecision(step) || transaction === undefined || resolved.length > 0) return;
                  const lead = (Math.random() - 0.5) * 2 * LEAD_MS;
                  resolved.push(
                    sleep(Math.max(0, lead))
                      .then(() =>
                        benches[1].parts.records.resolve(transaction, order_id, performance.now() + REQUEST_MS),
                      )
                      .then((found) => {
                        // A record that could not be read shows nothing.
                        if (found.is === 'judged') states.set(transaction.transaction_id, found.state);
                      }),
                  );
                  await sleep(Math.max(0, -lead));
                },
              })(withOlderTransactions(ABANDONED_MS + 1_000)(parts)),
          });
          await Promise.all(resolved);
          if (outcome.is === 'refused') wrong.push(`${order_id}: ${JSON.stringify(outcome)}`);
          raced.push({ order_id, outcomes: [outcome] });
        },
      );
      expect(wrong).to.deep.equal([]);
      const found = await recordsOf(name);
      for (const [transaction_id, state] of states)
        expect(found.states.get(transaction_id), transaction_id).to.equal(state);
      // Otherwise nothing was raced.
      const seen = [...states.values()];
      expect(seen.filter((state) => state === 'aborted').length).to.be.above(count / 20);
      expect(seen.filter((state) => state === 'committed').length).to.be.above(count / 20);
      await expectBooks(name, sku_ids, raced);
    }).timeout(60_000 + count * RACE_MS);

    /** Checks that each order that was answered as sold has one committed record, and that the units agree. */
    async function expectBooks(name: string, sku_ids: readonly string[], raced: readonly Raced[]): Promise<void> {
      await nothingHeld(sku_ids, HELD_MS);
      const { committed } = await recordsOf(name);
      const wrong = raced.filter(({ order_id, outcomes }) => {
        const isSold = outcomes.some(({ is }) => is === 'deducted');
        const mayBeSold = isSold || outcomes.some(({ is }) => is === 'unknown');
        const records = committed.get(order_id) ?? 0;
        return records > (mayBeSold ? 1 : 0) || (isSold && records !== 1);
      });
      expect(
        wrong.map(({ order_id, outcomes }) => `${order_id}: ${outcomes.map(({ is }) => is).join()}`),
      ).to.deep.equal([]);
      const sold = [...committed.values()].reduce((sum, one) => sum + one, 0);
      const { stock, flows } = await cartRows(sku_ids);
      expect(sku_ids.map((sku_id) => stock.get(sku_id))).to.deep.equal(
        sku_ids.map(() => ({ leaved: count + 10 - sold, held: 0 })),
      );
      expect([...flows.values()].filter(({ status }) => status === 'deducted')).to.have.lengthOf(sold * sku_ids.length);
      expect(flows.size).to.equal(sold * sku_ids.length);
    }
  });
}

/** The records of all orders whose id begins with a name: the states by transaction, and the commits by order. */
async function recordsOf(
  name: string,
): Promise<{ readonly states: ReadonlyMap<string, string>; readonly committed: ReadonlyMap<string, number> }> {
  const found = await onAllShards(
    'SELECT LOWER(HEX(transaction_id)) AS id, state, order_id FROM order_record WHERE order_id LIKE ?',
    [Buffer.from(`${name} %`)],
  );
  const states = new Map<string, string>();
  const committed = new Map<string, number>();
  for (const { id, state, order_id } of found.flat()) {
    states.set(String(id), String(state));
    const order = String(order_id);
    if (state === 'committed') committed.set(order, (committed.get(order) ?? 0) + 1);
  }
  return { states, committed };
}
