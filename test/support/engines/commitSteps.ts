import { createHash } from 'node:crypto';
import type { CartKey, Line, OrderTransaction, Transfer } from '../../../src/core/types.ts';
import type { CompleteLines, Operation } from '../../../src/core/operation.ts';
import type { Auditor } from '../../../src/core/ports/auditor.ts';
import type { CartRecords } from '../../../src/core/ports/cartRecords.ts';
import type { OrderRecords } from '../../../src/core/ports/orderRecords.ts';
import type { StockEngine } from '../../../src/core/ports/stockEngine.ts';
import { age } from '../carts/cartRows.ts';
import type { RowIds } from '../rows/shardRows.ts';
import { sideSession } from '../rows/sideSession.ts';
import { skuOn } from './traffic.ts';

/** Everything that commits, as one gateway calls it. */
export interface CommitPorts {
  readonly shard: number;
  readonly engine: StockEngine;
  readonly carts: CartRecords;
  readonly records: OrderRecords;
  readonly auditor: Pick<Auditor, 'repair'>;
  deadline(): number;
}

/** Two SKUs and an order of one shard, named by the same text. */
export interface CommitIds extends RowIds {
  readonly sku: string;
  readonly other: string;
  readonly order: string;
}

/** A change in one transaction, whose COMMIT can stay without an answer. */
export interface CommitCase {
  readonly name: string;
  /** The steps before the change, without a fault. */
  prepare?(hands: CommitPorts, ids: CommitIds): Promise<unknown>;
  change(hands: CommitPorts, ids: CommitIds): Promise<{ readonly is: string }>;
  /** Only for engines whose shards commit together. */
  readonly isJoint?: true;
  /** The outcome when the change was not committed; absent: `not_done`. */
  readonly undone?: Readonly<Record<string, string>>;
}

/** @param name a text that is used for nothing else */
export function commitIds(shard: number, name: string): CommitIds {
  const [sku, other, order] = ['sku', 'other', 'order'].map((kind) => skuOn(shard, `${name}-${kind}`)) as [
    string,
    string,
    string,
  ];
  return { sku, other, order, sku_ids: [sku, other], order_id: order };
}

export const OPENED = 10;

export const apply = async <O extends Operation>(
  { engine, shard, deadline }: CommitPorts,
  operation: O,
): Promise<{ readonly is: string }> => {
  const [outcome] = await engine.apply(shard, [operation], deadline());
  if (outcome === undefined) throw new Error('an operation got no outcome');
  return outcome;
};
export const open = (hands: CommitPorts, { sku_ids }: CommitIds): Promise<unknown> =>
  Promise.all(sku_ids.map((sku_id) => apply(hands, { kind: 'open', sku_id, leaved_amount: OPENED })));

export const linesOf = ({ sku, other }: CommitIds): Line[] => [
  { sku_id: sku, order_detail_id: 'a', quantity: 2 },
  { sku_id: other, order_detail_id: 'b', quantity: 1 },
];
export const firstOf = (ids: CommitIds): Line[] => linesOf(ids).slice(0, 1);
export const cartOf = ({ order }: CommitIds, attempt = 1): CartKey => ({ order_id: order, attempt });

export const deduct = (hands: CommitPorts, ids: CommitIds, lines = linesOf(ids)) =>
  apply(hands, { kind: 'deduct', order_id: ids.order, lines });
export const hold = (hands: CommitPorts, ids: CommitIds, attempt = 1) =>
  apply(hands, { kind: 'hold', ...cartOf(ids, attempt), lines: linesOf(ids) });
export const settle = (hands: CommitPorts, ids: CommitIds, decision: 'committed' | 'aborted', attempt = 1) =>
  apply(hands, { kind: 'settle', ...cartOf(ids, attempt), decision, lines: linesOf(ids) });
export const cancel = (hands: CommitPorts, ids: CommitIds) =>
  apply(hands, { kind: 'cancel', order_id: ids.order, lines: linesOf(ids) });
export const adjust = (hands: CommitPorts, { sku }: CommitIds, delta: number) =>
  apply(hands, { kind: 'adjust', sku_id: sku, adjustment_id: 'a', delta, reason: null });
export const begin = ({ carts, shard, deadline }: CommitPorts, ids: CommitIds) =>
  carts.begin(shard, { order_id: ids.order, lines: linesOf(ids) }, false, deadline());
export const decide = ({ carts, shard, deadline }: CommitPorts, ids: CommitIds, decision: 'committed' | 'aborted') =>
  carts.decide(shard, cartOf(ids), decision, deadline());
export const judge = ({ carts, shard, deadline }: CommitPorts, ids: CommitIds) =>
  carts.resolve(shard, cartOf(ids), deadline());

/** A transaction without a record, which is too old for a decision. */
export const transactionOf = ({ shard }: CommitPorts, { order }: CommitIds): OrderTransaction => ({
  transaction_id: '0'.repeat(12) + createHash('sha256').update(order).digest('hex').slice(0, 20),
  coordinator: shard,
});
export const holdInTransaction = (hands: CommitPorts, ids: CommitIds) =>
  apply(hands, { kind: 'hold', ...cartOf(ids, 0), transaction: transactionOf(hands, ids), lines: linesOf(ids) });
export const settleInTransaction = (
  hands: CommitPorts,
  ids: CommitIds,
  decision: 'committed' | 'aborted',
  more: Pick<CompleteLines, 'isHeld'> = {},
) =>
  apply(hands, {
    ...{ kind: 'settle', ...cartOf(ids, 0), transaction: transactionOf(hands, ids), decision },
    ...{ lines: linesOf(ids), ...more },
  });
export const deductWithRecord = (hands: CommitPorts, ids: CommitIds) => {
  const { engine, shard, deadline } = hands;
  const lines = linesOf(ids);
  const record = lines.map((line) => ({ ...line, shard }));
  const transaction = transactionOf(hands, ids);
  return engine.applyJointly(
    [{ shard, operation: { kind: 'deduct', order_id: ids.order, lines, record, transaction } }],
    deadline(),
  );
};

export const transferOf = ({ shard }: CommitPorts, { sku }: CommitIds): Transfer => ({
  sku_id: sku,
  transfer_id: 'ab'.repeat(16),
  amount: 3,
  from: { shard, sub_row: 0 },
  to: { shard, sub_row: 0 },
});

export const afterOpen =
  (...steps: readonly ((hands: CommitPorts, ids: CommitIds) => Promise<unknown>)[]) =>
  async (hands: CommitPorts, ids: CommitIds): Promise<void> => {
    await open(hands, ids);
    for (const step of steps) await step(hands, ids);
  };
export const undoneHold = [hold, (hands: CommitPorts, ids: CommitIds) => settle(hands, ids, 'aborted')] as const;
export const abandon = async (hands: CommitPorts, ids: CommitIds): Promise<void> => {
  await begin(hands, ids);
  await age({ order_ids: [ids.order], sku_ids: [] });
};
/** Adds one unit that the journal does not have. */
export const breakBooks = async ({ shard }: CommitPorts, { sku }: CommitIds): Promise<void> => {
  const session = await sideSession(shard);
  await session.query('UPDATE stock SET leaved_amount = leaved_amount + 1 WHERE sku_id = ?', [Buffer.from(sku)]);
  await session.end();
};
