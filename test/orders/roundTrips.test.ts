import { expect } from 'chai';
import { LINES_LIMIT } from '../../src/core/types.ts';
import type { CartKey, Line } from '../../src/core/types.ts';
import type { Operation } from '../../src/core/operation.ts';
import { cancel } from '../../src/mysql/textbook/cancel.ts';
import { deduct } from '../../src/mysql/textbook/deduct.ts';
import { hold } from '../../src/mysql/textbook/hold.ts';
import { completeLines } from '../../src/mysql/textbook/completeLines.ts';
import type { Change } from '../../src/mysql/connection/commitChange.ts';
import type { Shard } from '../../src/mysql/shard.ts';
import { transact } from '../../src/mysql/connection/transaction.ts';
import type { Transaction } from '../../src/mysql/connection/transaction.ts';
import { openCartBench } from '../support/carts/cartBench.ts';
import type { CartBench } from '../support/carts/cartBench.ts';
import { cartRows } from '../support/carts/cartRows.ts';
import { openShards } from '../support/engines/engines.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { stack } from '../support/run/setup.ts';
import { skusOnOneShard } from '../support/engines/traffic.ts';

const WAIT_MS = 20_000;
const FEW = 6;
const SKUS_MAX = 50;
const OPENED = 5_000;

describe('an order of many lines on one shard', () => {
  let bench: CartBench;
  let shards: Shard[];
  before(() => {
    bench = openCartBench();
    shards = openShards(stack());
  });
  after(() => {
    bench.close();
    for (const { pool } of shards) pool.close();
  });

  it('takes as many round trips in every operation as an order of a few lines', async () => {
    expect(await countStatements(LINES_LIMIT)).to.deep.equal(await countStatements(FEW));
  });

  /** Applies every operation to an order of `count` lines. @returns the statements of each step */
  async function countStatements(count: number): Promise<Record<string, number>> {
    const { shard, sku_ids } = skusOnOneShard(fresh('many'), Math.min(SKUS_MAX, count / 3));
    for (const sku_id of sku_ids) await bench.open(sku_id, OPENED);
    const { pool } = shards[shard] ?? expect.fail('no shard');
    const linesOf = (name: string): Line[] =>
      Array.from({ length: count }, (_, index) => ({
        sku_id: sku_ids[index % sku_ids.length] ?? '',
        order_detail_id: `${name}-${index}`,
        quantity: 1 + (index % 3),
      }));
    const statements: Record<string, number> = {};
    const step = async <O extends Operation>(
      name: string,
      operation: O,
      change: (operation: O) => Change<{ readonly is: string }>,
    ): Promise<void> => {
      const counting = counted(change(operation));
      const { is } = await transact(pool, performance.now() + WAIT_MS, (transaction) => counting.attempt(transaction));
      expect(is, name).to.be.oneOf(['deducted', 'held', 'applied']);
      statements[name] = counting.statements();
    };
    const left = async (): Promise<number[]> =>
      [...(await cartRows(sku_ids)).stock.values()].map(({ leaved, held }) => leaved + held);

    const [sold, kept, undone]: readonly CartKey[] = ['sold', 'kept', 'undone'].map((name) => ({
      order_id: fresh(name),
      attempt: 1,
    }));
    if (sold === undefined || kept === undefined || undone === undefined) return expect.fail('no carts');
    await step('deduct', { kind: 'deduct', order_id: sold.order_id, lines: linesOf('sold') }, deduct);
    await step('hold', { kind: 'hold', ...kept, lines: linesOf('kept') }, hold);
    await step(
      'complete, sold',
      { kind: 'settle', ...kept, decision: 'committed', lines: linesOf('kept') },
      completeLines,
    );
    await step(
      'complete, before the holds',
      { kind: 'settle', ...undone, decision: 'aborted', lines: linesOf('undone') },
      completeLines,
    );
    await step(
      'complete, a later attempt',
      { kind: 'settle', ...undone, attempt: 3, decision: 'aborted', lines: linesOf('undone') },
      completeLines,
    );
    const taken = await left();
    // A third of the lines were deducted, a third were undone, and a third were never sent.
    const mixed = [linesOf('sold'), linesOf('undone'), linesOf('never')].flatMap((lines, third) =>
      lines.filter((_, index) => index % 3 === third),
    );
    await step('cancel, mixed', { kind: 'cancel', order_id: sold.order_id, lines: mixed }, cancel);
    await step('cancel, the rest', { kind: 'cancel', order_id: sold.order_id, lines: linesOf('sold') }, cancel);
    await step('cancel, sold', { kind: 'cancel', order_id: kept.order_id, lines: linesOf('kept') }, cancel);
    expect(await left(), 'the units left in the end').to.deep.equal(sku_ids.map(() => OPENED));
    expect(taken, 'the units taken').not.to.deep.equal(await left());
    return statements;
  }
});

/** A change that counts the statements of its last attempt. */
function counted<Outcome>(change: Change<Outcome>): Change<Outcome> & { statements(): number } {
  let sent = 0;
  const counting = (transaction: Transaction): Transaction => ({
    rows: (sql, values) => ((sent += 1), transaction.rows(sql, values)),
    run: (sql, values) => ((sent += 1), transaction.run(sql, values)),
    restart: () => transaction.restart(),
  });
  return {
    attempt: (transaction) => ((sent = 0), change.attempt(counting(transaction))),
    resolveInDoubt: (transaction) => change.resolveInDoubt(transaction),
    statements: () => sent,
  };
}
