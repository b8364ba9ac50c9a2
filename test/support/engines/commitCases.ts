import type { CartKey, Line, Transfer } from '../../../src/core/types.ts';
import type { Operation } from '../../../src/core/operation.ts';
import type { Auditor } from '../../../src/core/ports/auditor.ts';
import type { CartRecords } from '../../../src/core/ports/cartRecords.ts';
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

const OPENED = 10;

const apply = async <O extends Operation>(
  { engine, shard, deadline }: CommitPorts,
  operation: O,
): Promise<{ readonly is: string }> => {
  const [outcome] = await engine.apply(shard, [operation], deadline());
  if (outcome === undefined) throw new Error('an operation got no outcome');
  return outcome;
};
const open = (hands: CommitPorts, { sku_ids }: CommitIds): Promise<unknown> =>
  Promise.all(sku_ids.map((sku_id) => apply(hands, { kind: 'open', sku_id, leaved_amount: OPENED })));

const linesOf = ({ sku, other }: CommitIds): Line[] => [
  { sku_id: sku, order_detail_id: 'a', quantity: 2 },
  { sku_id: other, order_detail_id: 'b', quantity: 1 },
];
const firstOf = (ids: CommitIds): Line[] => linesOf(ids).slice(0, 1);
const cartOf = ({ order }: CommitIds, attempt = 1): CartKey => ({ order_id: order, attempt });

const deduct = (hands: CommitPorts, ids: CommitIds, lines = linesOf(ids)) =>
  apply(hands, { kind: 'deduct', order_id: ids.order, lines });
const hold = (hands: CommitPorts, ids: CommitIds, attempt = 1) =>
  apply(hands, { kind: 'hold', ...cartOf(ids, attempt), lines: linesOf(ids) });
const settle = (hands: CommitPorts, ids: CommitIds, decision: 'committed' | 'aborted', attempt = 1) =>
  apply(hands, { kind: 'settle', ...cartOf(ids, attempt), decision, lines: linesOf(ids) });
const cancel = (hands: CommitPorts, ids: CommitIds) =>
  apply(hands, { kind: 'cancel', order_id: ids.order, lines: linesOf(ids) });
const adjust = (hands: CommitPorts, { sku }: CommitIds, delta: number) =>
  apply(hands, { kind: 'adjust', sku_id: sku, adjustment_id: 'a', delta, reason: null });
const begin = ({ carts, shard, deadline }: CommitPorts, ids: CommitIds) =>
  carts.begin(shard, { order_id: ids.order, lines: linesOf(ids) }, false, deadline());
const decide = ({ carts, shard, deadline }: CommitPorts, ids: CommitIds, decision: 'committed' | 'aborted') =>
  carts.decide(shard, cartOf(ids), decision, deadline());
const judge = ({ carts, shard, deadline }: CommitPorts, ids: CommitIds) =>
  carts.resolve(shard, cartOf(ids), deadline());

const transferOf = ({ shard }: CommitPorts, { sku }: CommitIds): Transfer => ({
  sku_id: sku,
  transfer_id: 'ab'.repeat(16),
  amount: 3,
  from: { shard, sub_row: 0 },
  to: { shard, sub_row: 0 },
});

const afterOpen =
  (...steps: readonly ((hands: CommitPorts, ids: CommitIds) => Promise<unknown>)[]) =>
  async (hands: CommitPorts, ids: CommitIds): Promise<void> => {
    await open(hands, ids);
    for (const step of steps) await step(hands, ids);
  };
const undoneHold = [hold, (hands: CommitPorts, ids: CommitIds) => settle(hands, ids, 'aborted')] as const;
const abandon = async (hands: CommitPorts, ids: CommitIds): Promise<void> => {
  await begin(hands, ids);
  await age({ order_ids: [ids.order], sku_ids: [] });
};
/** Adds one unit that the journal does not have. */
const breakBooks = async ({ shard }: CommitPorts, { sku }: CommitIds): Promise<void> => {
  const session = await sideSession(shard);
  await session.query('UPDATE stock SET leaved_amount = leaved_amount + 1 WHERE sku_id = ?', [Buffer.from(sku)]);
  await session.end();
};

/**
 * The change leaves no trace but the state that it sets. When a read finds another state, the change may have been
 * committed and overwritten since.
 */
const NO_TRACE = { is: 'unknown' } as const;

/** Every change that commits, by operation or port method. A new one fails the type check until it has a case here. */
export const COMMIT_CASES: Readonly<
  Record<Operation['kind'] | Exclude<keyof CartRecords, 'findUnfinished'> | 'repair', readonly CommitCase[]>
> = {
  open: [
    { name: 'opening', change: (hands, { sku }) => apply(hands, { kind: 'open', sku_id: sku, leaved_amount: OPENED }) },
  ],
  adjust: [
    { name: 'restock', prepare: open, change: (hands, ids) => adjust(hands, ids, 5) },
    { name: 'write-off', prepare: open, change: (hands, ids) => adjust(hands, ids, -5) },
  ],
  deduct: [
    { name: 'order', prepare: open, change: deduct },
    {
      name: 'order with one line that is already deducted',
      prepare: afterOpen((hands, ids) => deduct(hands, ids, firstOf(ids))),
      change: deduct,
    },
    { name: 'order that replaces an undone hold', prepare: afterOpen(...undoneHold), change: deduct },
  ],
  hold: [
    { name: 'hold', prepare: open, change: hold },
    {
      name: 'hold that replaces an undone one',
      prepare: afterOpen(...undoneHold),
      change: (hands, ids) => hold(hands, ids, 2),
    },
  ],
  settle: [
    {
      name: 'sale of held units',
      prepare: afterOpen(hold),
      change: (hands, ids) => settle(hands, ids, 'committed'),
    },
    { name: 'undoing of a hold', prepare: afterOpen(hold), change: (hands, ids) => settle(hands, ids, 'aborted') },
    { name: 'fence against a late hold', prepare: open, change: (hands, ids) => settle(hands, ids, 'aborted') },
    {
      name: 'fence of a later attempt',
      prepare: afterOpen(...undoneHold),
      change: (hands, ids) => settle(hands, ids, 'aborted', 2),
    },
  ],
  return: [
    {
      name: 'return',
      prepare: afterOpen(deduct),
      change: (hands, { sku }) =>
        apply(hands, { kind: 'return', sku_id: sku, order_detail_id: 'a', return_id: 'r', quantity: 1 }),
    },
  ],
  cancel: [
    { name: 'cancellation of an order', prepare: afterOpen(deduct), change: cancel },
    {
      name: 'cancellation of half an order',
      prepare: afterOpen((hands, ids) => deduct(hands, ids, firstOf(ids))),
      change: cancel,
    },
    { name: 'cancellation of an undone hold', prepare: afterOpen(...undoneHold), change: cancel },
  ],
  send: [
    {
      name: 'debit of a transfer',
      prepare: open,
      change: (hands, ids) => apply(hands, { kind: 'send', ...transferOf(hands, ids), epoch: 0 }),
    },
  ],
  receive: [
    {
      name: 'credit of a transfer',
      prepare: open,
      change: (hands, ids) => apply(hands, { kind: 'receive', ...transferOf(hands, ids) }),
    },
  ],
  sale: [
    {
      name: 'pause',
      prepare: open,
      change: (hands, { sku }) => apply(hands, { kind: 'sale', sku_id: sku, state: 'paused', from: null }),
      undone: NO_TRACE,
    },
    {
      name: 'sale from a time on',
      prepare: open,
      change: (hands, { sku }) =>
        apply(hands, { kind: 'sale', sku_id: sku, state: 'on', from: '2999-12-31T23:59:59.999Z' }),
      undone: NO_TRACE,
    },
  ],
  begin: [
    { name: "cart's record", change: begin },
    { name: "cart's record after an abandoned one", prepare: abandon, change: begin },
  ],
  decide: [
    { name: "cart's commitment", prepare: begin, change: (hands, ids) => decide(hands, ids, 'committed') },
    { name: "cart's abortion", prepare: begin, change: (hands, ids) => decide(hands, ids, 'aborted') },
  ],
  resolve: [
    { name: 'decision about a cart without a record', change: judge },
    // The method reads the state and returns it, so without a commit it returns the old state.
    {
      name: 'decision about an abandoned cart',
      prepare: abandon,
      change: judge,
      undone: { is: 'judged', state: 'open' },
    },
  ],
  repair: [
    {
      name: 'repaired journal',
      prepare: afterOpen(breakBooks),
      change: ({ auditor, shard, deadline }, { sku }) =>
        auditor.repair(
          shard,
          { kind: 'adjust', sku_id: sku, adjustment_id: 'repaired', delta: 1, reason: null },
          deadline(),
        ),
    },
  ],
};
