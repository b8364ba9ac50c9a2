import type { DeductionSent, Entry, FinalState } from '../history.ts';
import { sold as soldInTwoRows, resized } from './splitStories.ts';
import {
  adjusted,
  returnRow,
  cancelledUnsold,
  cancelled,
  final,
  flow,
  returnSent,
  line,
  other,
  restock,
  sent,
  short,
  sku_id,
  stock,
  story,
  unknown,
} from './storyParts.ts';
import type { Story } from './storyParts.ts';

/** A history under gateways with or without early refusals, and the invariant that it breaks, if any. */
export interface TierStory extends Story {
  readonly hasTiers: boolean;
}

const at = (invokedMs: number) => ({ invokedMs, endedMs: invokedMs + 10 });
/** Five units were opened; this order takes the given quantity of them. */
const soldOut = (quantity = 5): DeductionSent => sent({ lines: [{ ...line, quantity }] });
/** Another order, which is refused as short. */
const denied = (invokedMs: number, quantity = 2, leaved_amount = 0): DeductionSent => {
  const wanted = { sku_id, order_detail_id: 'x', quantity };
  return sent({ order_id: 'x', lines: [wanted], ...short(leaved_amount, [wanted]), ...at(invokedMs) });
};
const restockedAt = (invokedMs: number) => adjusted(at(invokedMs));
const inDoubt = adjusted({ ...at(100), verdict: 'unknown', code: null, replayed: null });
const repeatedAt = (invokedMs: number) => adjusted({ ...at(invokedMs), replayed: true });

/** Five units were opened, `sold` of them were sold, and four were restocked. */
const restocked = (sold = 5): FinalState =>
  final({ ...stock(9 - sold), flows: [{ ...flow, quantity: sold }], adjustments: [restock] });
const returned = final({ ...stock(1), flows: [{ ...flow, quantity: 5, returned: 1 }], returns: [returnRow(1)] });
const undone = final({
  ...stock(5),
  flows: [{ ...flow, quantity: 5, status: 'cancelled', returned: 5 }],
  returns: [returnRow(5, '')],
});
const untouched = final({ ...stock(5), flows: [] });
/** In two rows: three units are left in the first. Two were sold in the second, where one of them was returned. */
const inTwoRows = soldInTwoRows();
const returnedInTwoRows = soldInTwoRows({
  stock: inTwoRows.stock.map((row) => (row.sub_row === 1 ? { ...row, leaved_amount: 1 } : row)),
  flows: inTwoRows.flows.map((one) => ({ ...one, returned: 1 })),
  returns: [{ ...returnRow(1), shard: 4 }],
});
const soldInRows = [resized(2), sent()];

/** A line of a SKU that is sold out (`d` took all units). The line was cancelled before it was ordered. */
const blocked = { sku_id, order_detail_id: 'y', quantity: 1 };
const cancelledFirst = cancelled({ order_id: 'y', lines: [{ sku_id, order_detail_id: 'y' }], ...at(100) });
const tombstone = { ...cancelledUnsold.flows[0]!, order_detail_id: 'y', order_id: 'y' };
const refusedShort = (lines = [blocked]): DeductionSent =>
  sent({ order_id: 'y', lines, ...short(0, [lines.at(-1) as typeof blocked]), ...at(200) });
const soldOutAndBlocked = final({ ...stock(0), flows: [{ ...flow, quantity: 5 }, tombstone] });
const onlyBlocked = final({ ...stock(5), flows: [tombstone] });

const under = (
  hasTiers: boolean,
  name: string,
  invariant: string,
  history: readonly Entry[],
  state: FinalState,
): TierStory => ({ ...story(`${name}, ${hasTiers ? 'with' : 'without'} tiers`, invariant, history, state), hasTiers });

/** Histories that must be rejected. */
export const TIER_BROKEN: readonly TierStory[] = [
  under(
    false,
    'a refusal 0.4 s after a restock of an empty row',
    'I8',
    [soldOut(), restockedAt(100), denied(510)],
    restocked(),
  ),
  under(
    true,
    'a refusal 2.5 s after a restock of an empty row',
    'I8',
    [soldOut(), restockedAt(100), denied(2_610)],
    restocked(),
  ),
  under(
    true,
    'a refusal 2.5 s after a return to an empty row',
    'I8',
    [soldOut(), returnSent({ ...at(100), returnable: 4 }), denied(2_610, 1)],
    returned,
  ),
  under(true, 'a refusal 2.5 s after a cancellation', 'I8', [soldOut(), cancelled(at(100)), denied(2_610)], undone),
  under(
    true,
    'a refusal 0.4 s after a restock of a row that had units',
    'I8',
    [soldOut(2), restockedAt(100), denied(510, 4, 3)],
    restocked(2),
  ),
  under(true, 'a refusal of units that were left all the time', 'I8', [soldOut(2), denied(510)], final()),
  under(
    true,
    'a refusal of units that were left before a restock',
    'I8',
    [soldOut(2), restockedAt(100), denied(510)],
    restocked(2),
  ),
  under(
    true,
    'a refusal that reports only some units of a restocked row',
    'I8',
    [soldOut(), restockedAt(100), denied(510, 4, 2)],
    restocked(),
  ),
  under(true, 'a refusal just after an opening', 'I8', [denied(400)], untouched),
  under(
    true,
    'a refusal because of units that a cart held for a while',
    'I8',
    [sent({ ...unknown, verdict: 'undone', lines: [{ ...line, quantity: 5 }, other] }), denied(510)],
    untouched,
  ),
  under(
    true,
    'a refusal 2.5 s after an in-doubt restock was resolved',
    'I8',
    [soldOut(), inDoubt, repeatedAt(9_000), denied(11_510)],
    restocked(),
  ),
  under(
    true,
    'a refusal of units of one row after a return to another',
    'I8',
    [...soldInRows, returnSent(at(100)), denied(510, 3)],
    returnedInTwoRows,
  ),
  under(
    true,
    'a refusal 2.5 s after a return to one of two rows',
    'I8',
    [...soldInRows, returnSent(at(100)), denied(2_610, 4, 3)],
    returnedInTwoRows,
  ),

  under(
    false,
    'a shortage reported ahead of a cancellation',
    'I4',
    [soldOut(), cancelledFirst, refusedShort()],
    soldOutAndBlocked,
  ),
  under(
    true,
    'a shortage reported ahead of a cancellation while units were left',
    'I4',
    [cancelledFirst, refusedShort()],
    onlyBlocked,
  ),
  under(
    true,
    'a shortage reported ahead of the cancellation of a deduction',
    'I4',
    [
      soldOut(),
      cancelled(at(50)),
      denied(100, 5),
      sent({ lines: [{ ...line, quantity: 5 }], ...short(0), ...at(200) }),
    ],
    undone,
  ),
  under(
    false,
    'a shortage reported ahead of a conflict',
    'I5',
    [soldOut(), refusedShort([{ ...line, quantity: 4 }, blocked])],
    final({ ...stock(0), flows: [{ ...flow, quantity: 5 }] }),
  ),
  under(
    true,
    'a shortage of a line that is stored with another quantity',
    'I5',
    [soldOut(), sent({ lines: [{ ...line, quantity: 4 }], ...short(0), ...at(200) })],
    final({ ...stock(0), flows: [{ ...flow, quantity: 5 }] }),
  ),
];

/** Histories that must be accepted. */
export const TIER_VALID: readonly TierStory[] = [
  under(
    true,
    'a refusal 0.4 s after a restock of an empty row',
    '',
    [soldOut(), restockedAt(100), denied(510)],
    restocked(),
  ),
  under(
    true,
    'a refusal 0.4 s after a return to an empty row',
    '',
    [soldOut(), returnSent({ ...at(100), returnable: 4 }), denied(510, 1)],
    returned,
  ),
  under(true, 'a refusal 0.4 s after a cancellation', '', [soldOut(), cancelled(at(100)), denied(510)], undone),
  under(
    true,
    'a refusal of more units than a row has after a restock',
    '',
    [soldOut(), restockedAt(100), denied(2_610, 5, 4)],
    restocked(),
  ),
  under(
    true,
    'a refusal while a restock is in doubt',
    '',
    [soldOut(), inDoubt, denied(9_000), repeatedAt(9_005)],
    restocked(),
  ),
  under(
    true,
    'a refusal 0.4 s after a return to one of two rows',
    '',
    [...soldInRows, returnSent(at(100)), denied(510, 4, 3)],
    returnedInTwoRows,
  ),
  under(
    false,
    'a refusal of more units than are left after a restock',
    '',
    [soldOut(2), restockedAt(100), denied(510, 8, 7)],
    restocked(2),
  ),

  under(
    true,
    'a shortage reported ahead of a cancellation',
    '',
    [soldOut(), cancelledFirst, refusedShort()],
    soldOutAndBlocked,
  ),
  under(
    true,
    'a shortage reported ahead of a conflict',
    '',
    [soldOut(), refusedShort([{ ...line, quantity: 4 }, blocked])],
    final({ ...stock(0), flows: [{ ...flow, quantity: 5 }] }),
  ),
];
