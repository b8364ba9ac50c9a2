import { BROKEN_ORDERS } from './brokenOrders.ts';
import { BROKEN_RETURNS } from './brokenReturns.ts';
import type { Entry } from '../history.ts';
import {
  adjusted,
  cancelledUnsold,
  cancelled,
  refusedWith,
  final,
  found,
  returnSent,
  soldAndCancelled,
  key,
  later,
  line,
  lookedUp,
  notCancelled,
  opened,
  order,
  other,
  read,
  refusedOrder,
  returned,
  saleSent,
  sent,
  short,
  sku_id,
  unknown,
  unreadable,
  unsold,
  withOpenings,
} from './storyParts.ts';
import type { Story } from './storyParts.ts';

/** Histories that break a rule; the checker must report each. */
export const BROKEN: readonly Story[] = [...BROKEN_ORDERS, ...BROKEN_RETURNS];

/** Histories that break no rule, or of which the client cannot tell; the checker must accept each. */
export const VALID: readonly Omit<Story, 'invariant'>[] = [
  {
    name: 'a sale and its replay',
    history: [read(5, 1), sent(), sent({ ...later, replayed: true }), read(3, 50)],
    state: final(),
  },
  { name: 'an in-doubt deduction that is stored', history: [sent({ ...unknown, code: null })], state: final() },
  { name: 'an in-doubt deduction that is not stored', history: [sent({ ...unknown, code: null })], state: unsold },
  { name: 'either number of units during the sale', history: [sent(), read(5, 15), read(3, 15)], state: final() },
  {
    name: 'an in-doubt deduction that a look-up finds, and its replay',
    history: [sent(unknown), found(30), sent({ invokedMs: 50, endedMs: 60, replayed: true })],
    state: final(),
  },
  {
    name: 'an order sent again with one more line that is short, while its other lines are stored',
    history: [sent(), sent({ ...later, lines: [line, { ...other, quantity: 9 }], ...short(5, [other]) })],
    state: final(),
  },
  {
    name: 'a return, its replay, and a return of too much',
    history: [
      sent(),
      returnSent(),
      returnSent({ invokedMs: 50, endedMs: 60, replayed: true }),
      returnSent({
        return_id: 's',
        quantity: 2,
        ...refusedOrder('over_return'),
        replayed: null,
        returned: null,
        invokedMs: 50,
        endedMs: 60,
      }),
    ],
    state: returned,
  },
  {
    name: 'a cancellation, and the order sent again',
    history: [
      sent(),
      cancelled(),
      sent({ invokedMs: 50, endedMs: 60, ...refusedWith('cancelled') }),
      cancelled({ invokedMs: 70, endedMs: 80, replayed: true }),
    ],
    state: soldAndCancelled,
  },
  {
    name: 'a cancellation before the order',
    history: [
      cancelled(),
      sent({ invokedMs: 50, endedMs: 60, ...refusedWith('cancelled') }),
      lookedUp({ status: 'cancelled', order_id: order, quantity: 0, returned: 0 }, 70),
    ],
    state: cancelledUnsold,
  },
  {
    name: 'a cancellation that finds a cart in progress',
    history: [
      sent({ ...unknown, code: null, lines: [line, other] }),
      cancelled({
        ...refusedOrder('pending'),
        replayed: null,
        states: [{ ...key, status: 'pending', code: 'pending' }],
        invokedMs: 12,
        endedMs: 14,
      }),
    ],
    state: unsold,
  },
  { name: 'a line that a look-up could not read', history: [sent(), unreadable(30), unreadable(31)], state: final() },
  { name: 'a cancellation by another order, refused', history: [sent(), notCancelled('deducted')], state: final() },
  {
    name: 'a cancellation by another order, refused after the cancellation',
    history: [sent(), cancelled(), notCancelled('cancelled', { invokedMs: 50, endedMs: 60 })],
    state: soldAndCancelled,
  },
  {
    name: 'a refused cancellation whose line was not read',
    history: [sent(), notCancelled('unavailable')],
    state: final(),
  },
  {
    name: 'fewer units while a cart held some',
    history: [sent({ ...unknown, verdict: 'undone', lines: [line, other] }), read(3, 15), read(3, 30)],
    state: unsold,
  },
  {
    name: 'a write-off that is refused because of units that a cart held for a while',
    history: [
      sent({ ...unknown, verdict: 'undone', lines: [{ ...line, quantity: 4 }, other] }),
      adjusted({ delta: -4, ...later, ...refusedOrder('insufficient_stock'), replayed: null }),
    ],
    state: unsold,
  },
  {
    name: 'a pause and a resume',
    history: [saleSent('paused', 1), sent(refusedWith('not_on_sale')), saleSent('on', 25), sent(later)],
    state: final(),
  },
  {
    name: 'a read of a SKU whose opening is in doubt',
    history: [
      { ...opened(sku_id), verdict: 'unknown', code: 'outcome_unknown', replayed: null, invokedMs: -20, endedMs: -10 },
      { ...read(0, -5), leaved_amount: null, ...refusedOrder('unknown_sku') },
    ],
    state: unsold,
  },
].map((one) => ({ ...one, history: withOpenings(one.history as Entry[]) }));
