import { violation } from './books.ts';
import type { RoundBooks, Violation } from './books.ts';
import { flowKey, groupBy, mayHaveEffect, overAtMs } from './effects.ts';
import type { TransferRow } from '../history.ts';

/** I2: at most one flow that is not void is stored under an id, on one shard. */
export function idsAreStoredOnce({ final }: RoundBooks): Violation[] {
  const effective = final.flows.filter(({ status }) => status !== 'void');
  return [...groupBy(effective, (flow) => [flowKey(flow)]).values()]
    .filter((flows) => flows.length > 1)
    .map((flows) => {
      const where = flows.map(({ status, shard }) => `${status} on shard ${shard}`).join(', ');
      return violation('I2', `${flows[0]?.order_detail_id} of ${flows[0]?.sku_id}: ${where}`);
    });
}

/** I1: each transfer between rows of a split SKU is received once, by the named row, with the amount that was sent. */
export function transfersArrive({ final }: RoundBooks): Violation[] {
  const pairs = groupBy(final.transfers, ({ sku_id, transfer_id }) => [`${sku_id}, transfer ${transfer_id}`]);
  return [...pairs].flatMap(([name, ends]) => {
    const [out, ...outs] = ends.filter(({ direction }) => direction === 'out');
    const [into, ...intos] = ends.filter(({ direction }) => direction === 'in');
    const open = ends.some(({ isOpen }) => isOpen) ? [violation('I1', `${name}: still open`)] : [];
    if (
      out !== undefined &&
      into !== undefined &&
      outs.length + intos.length === 0 &&
      isOtherEnd(out, into) &&
      isOtherEnd(into, out)
    )
      return open;
    const what = ends.map(
      ({ direction, amount, shard, sub_row }) => `${amount} ${direction} at row ${sub_row} on shard ${shard}`,
    );
    return [...open, violation('I1', `${name}: ${what.join(', ')}`)];
  });
}

function isOtherEnd(one: TransferRow, other: TransferRow): boolean {
  return one.amount === other.amount && one.other.shard === other.shard && one.other.sub_row === other.sub_row;
}

/** A SKU lies in as many rows as the last resize requested. Every SKU begins with one. */
export function layoutsWereRequested({ resizes, final }: RoundBooks): Violation[] {
  return final.layouts.flatMap(({ sku_id, rowShards }) => {
    const ofSku = resizes.filter((resize) => resize.sku_id === sku_id && mayHaveEffect(resize));
    const begins = ofSku.filter(({ sub_rows }) => sub_rows === rowShards.length).map(overAtMs);
    if (rowShards.length === 1) begins.push(-Infinity);
    const others = ofSku.filter(({ sub_rows, verdict }) => sub_rows !== rowShards.length && verdict === 'done');
    const isAsked = begins.some((overMs) => !others.some(({ invokedMs }) => invokedMs > overMs));
    return isAsked
      ? []
      : [violation('I3', `${sku_id}: in ${rowShards.length} rows, and the last accepted resize differs`)];
  });
}

/** I9: no resize stays unfinished. The rows of the layout are open, all others are closed and have no units. */
export function rowsMatchLayout({ final }: RoundBooks): Violation[] {
  const rows = groupBy(final.stock, ({ sku_id }) => [sku_id]);
  return final.layouts.flatMap(({ sku_id, state, rowShards, earlier_count }) => {
    const found: Violation[] = [];
    const isDone = state === (rowShards.length > 1 ? 'open' : 'single') && earlier_count === 0;
    if (!isDone)
      found.push(
        violation(
          'I9',
          `${sku_id}: still ${state}, in ${rowShards.length} rows, and ${earlier_count} earlier layouts are searched`,
        ),
      );
    for (const { sub_row, shard, isOpen, leaved_amount, held_amount, opening_amount } of rows.get(sku_id) ?? []) {
      const name = `${sku_id}, row ${sub_row} on shard ${shard}`;
      if (isOpen !== (rowShards[sub_row] === shard))
        found.push(violation('I9', `${name}: ${isOpen ? 'open' : 'closed'}`));
      if (!isOpen && leaved_amount + held_amount > 0)
        found.push(violation('I8', `${name}: closed, with ${leaved_amount} left and ${held_amount} held`));
      if (sub_row > 0 && opening_amount !== 0)
        found.push(violation('I1', `${name}: has an opening stock of its own, ${opening_amount}`));
    }
    const count = (rows.get(sku_id) ?? []).filter(({ isOpen }) => isOpen).length;
    if (count !== rowShards.length)
      found.push(violation('I9', `${sku_id}: ${count} rows are open, and ${rowShards.length} should be`));
    return found;
  });
}

/** I2, I5: a pointer names a shard where the flow is stored; otherwise the id could neither be found nor be sold. */
export function pointersNameFlows({ final }: RoundBooks): Violation[] {
  const standing = new Set(
    final.flows.filter(({ status }) => status !== 'void').map((flow) => `${flow.shard}\0${flowKey(flow)}`),
  );
  return final.pointers
    .filter((pointer) => !standing.has(`${pointer.moved_to}\0${flowKey(pointer)}`))
    .map(({ order_detail_id, sku_id, shard, moved_to }) =>
      violation(
        'I5',
        `${order_detail_id} of ${sku_id}: the pointer on shard ${shard} names ${moved_to}, which does not have it`,
      ),
    );
}
