import type { Operation } from '../../../src/core/operation.ts';
import type { CartRecords } from '../../../src/core/ports/cartRecords.ts';
import type { OrderRecords } from '../../../src/core/ports/orderRecords.ts';
import type { StockEngine } from '../../../src/core/ports/stockEngine.ts';
import {
  abandon,
  adjust,
  afterOpen,
  apply,
  begin,
  breakBooks,
  cancel,
  decide,
  deduct,
  deductWithRecord,
  firstOf,
  hold,
  holdInTransaction,
  judge,
  open,
  OPENED,
  settle,
  settleInTransaction,
  transactionOf,
  transferOf,
  undoneHold,
} from './commitSteps.ts';
import type { CommitCase } from './commitSteps.ts';

/**
 * The change leaves no trace but the state that it sets. When a read finds another state, the change may have been
 * committed and overwritten since.
 */
const NO_TRACE = { is: 'unknown' } as const;

/**
 * Every change that commits, by operation or port method. A new one fails the type check until it has a case here. The
 * deletion of aborted records has a test of its own, because it deletes those of other cases too.
 */
export const COMMIT_CASES: Readonly<
  Record<
    | Operation['kind']
    | Exclude<keyof StockEngine, 'apply' | 'groupOf'>
    | Exclude<keyof CartRecords, 'findUnfinished'>
    | Exclude<keyof OrderRecords, 'areUsable' | 'deleteAborted'>
    | 'repair',
    readonly CommitCase[]
  >
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
    { name: 'hold of a transaction', prepare: open, change: holdInTransaction },
  ],
  applyJointly: [
    { name: 'order with a record', prepare: open, change: deductWithRecord, isJoint: true },
    {
      name: 'order with a record and with one line that is already deducted',
      prepare: afterOpen((hands, ids) => deduct(hands, ids, firstOf(ids))),
      change: deductWithRecord,
      isJoint: true,
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
    ...(['committed', 'aborted'] as const).flatMap((decision): CommitCase[] => [
      {
        name: `end of a hold of a transaction: ${decision}`,
        prepare: afterOpen(holdInTransaction),
        change: (hands, ids) => settleInTransaction(hands, ids, decision),
      },
      {
        name: `end of a hold that its own coordinator knows: ${decision}`,
        prepare: afterOpen(holdInTransaction),
        change: (hands, ids) => settleInTransaction(hands, ids, decision, { isHeld: true }),
      },
    ]),
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
    {
      name: 'abort of a transaction without a record',
      prepare: afterOpen(holdInTransaction),
      change: (hands, ids) => hands.records.resolve(transactionOf(hands, ids), ids.order, hands.deadline()),
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
