import { mayHaveCaused, hasEffect, violation } from './books.ts';
import type { RoundBooks, Violation } from './books.ts';
import { effectsOf, flowEffect, flowKey, groupBy, mayHaveEffect, OWNERS, storedEffects } from './effects.ts';
import type { StoredEffect } from './effects.ts';
import type { LineKey } from '../history.ts';
import { mayHaveBeen } from '../saleStates.ts';

/**
 * I1: opening + adjusted - deducted + returned + transferred = left + held, row by row, and no number is below zero.
 */
export function stockRowsBalance({ final }: RoundBooks): Violation[] {
  const rows = groupBy(final.stock, (row) => [rowText(row)]);
  const moved = final.transfers.map((row) => ({ ...row, change: row.direction === 'in' ? row.amount : -row.amount }));
  const entries = groupBy<{ readonly change: number }>([...storedEffects(final), ...moved], (entry) => [
    rowText(entry as StoredEffect),
  ]);
  return [...new Set([...rows.keys(), ...entries.keys()])].flatMap((name) => {
    const units = (entries.get(name) ?? []).reduce((sum, { change }) => sum + change, 0);
    const [row] = rows.get(name) ?? [];
    if (
      row !== undefined &&
      row.leaved_amount >= 0 &&
      row.held_amount >= 0 &&
      row.leaved_amount + row.held_amount === units
    )
      return [];
    return [
      violation('I1', `${name}: ${row?.leaved_amount} left and ${row?.held_amount} held, and ${units} by its journal`),
    ];
  });
}

function rowText({
  sku_id,
  shard,
  sub_row,
}: {
  readonly sku_id: string;
  readonly shard: number;
  readonly sub_row: number;
}): string {
  return `${sku_id}, row ${sub_row} on shard ${shard}`;
}

/** I2: one effect per key over all shards, on the shard that owns it. */
export function effectsOnce({ final }: RoundBooks): Violation[] {
  const seen = new Set<string>();
  const layouts = new Map(final.layouts.map((layout) => [layout.sku_id, layout]));
  const effects = storedEffects(final).flatMap(({ key, sku_id, shard, sub_row, name }) => {
    const found: Violation[] = [];
    if (seen.has(key)) found.push(violation('I2', `${name}: stored twice`));
    const isOwners = OWNERS.shardOf(sku_id) === shard;
    if (!(sub_row === 0 ? isOwners : layouts.get(sku_id)?.shards.includes(shard)))
      found.push(violation('I2', `${name}: on shard ${shard}, which does not own it`));
    seen.add(key);
    return found;
  });
  const strayed = final.carts.filter(({ order_id, shard }) => OWNERS.shardOf(order_id) !== shard);
  return [
    ...effects,
    ...strayed.map(({ order_id, shard }) =>
      violation('I2', `the record of ${order_id}: on shard ${shard}, which does not own it`),
    ),
  ];
}

/** I3: every accepted write is stored as it was sent; of pauses and resumes the last one counts. */
export function acceptedIsStored({ writes, sales, stored, final }: RoundBooks): Violation[] {
  const lost = writes
    .filter(({ verdict }) => verdict === 'done')
    .flatMap(effectsOf)
    .filter(({ key, content }) => stored.get(key)?.content !== content)
    .map(({ name }) => violation('I3', `${name}: accepted, and lost`));
  const unlike = final.stock.filter(
    ({ sku_id, sale_state, isOpen }) => isOpen && !mayHaveBeen(sales, sku_id, sale_state, Infinity, Infinity),
  );
  return [
    ...lost,
    ...unlike.map(({ sku_id, sale_state }) =>
      violation('I3', `${sku_id}: ${sale_state}, and the last accepted pause or resume differs`),
    ),
  ];
}

/** I4: every stored effect was sent with this content, in an attempt that was accepted or is in doubt. */
export function storedWasSent(books: RoundBooks): Violation[] {
  return [...books.stored.values()]
    .filter((effect) => mayHaveCaused(books, effect, Infinity).length === 0)
    .map(({ name }) => violation('I4', `${name}: stored, though every sending was refused`));
}

/** I6: a deduction never has more units returned than sold, each return counts once, and the flow has their sum. */
export function returnsFit({ final }: RoundBooks): Violation[] {
  // Returns lie on the shard of their flow. A hold that was undone has no returns.
  const keyOf = (row: LineKey & { readonly shard: number }): string => `${row.shard}\0${flowKey(row)}`;
  const returns = groupBy(final.returns, (row) => [keyOf(row)]);
  const flows = new Map(final.flows.filter(({ status }) => status !== 'void').map((flow) => [keyOf(flow), flow]));
  const counted = [...flows].flatMap(([key, { order_detail_id, sku_id, quantity, returned, status }]) => {
    const units = (returns.get(key) ?? []).reduce((sum, row) => sum + row.quantity, 0);
    const fits = units <= quantity && units === returned && (status !== 'cancelled' || units === quantity);
    if (fits) return [];
    const counts = `${quantity} sold, ${returned} returned, ${units} by its returns`;
    return [violation('I6', `${order_detail_id} of ${sku_id}: ${status}, ${counts}`)];
  });
  const stray = final.returns.filter((row) => !flows.has(keyOf(row)));
  return [
    ...counted,
    ...stray.map(({ return_id, sku_id }) => violation('I6', `return ${return_id} of ${sku_id}: without a deduction`)),
  ];
}

/** I7: every stored line of an order belongs to a sending of which all lines are stored. */
export function ordersAreWhole({ sent, stored, final }: RoundBooks): Violation[] {
  const halves = [...stored.values()].flatMap(({ key, content, name, order_id }) => {
    const sendings = (sent.get(key) ?? []).filter(
      (write) => write.kind === 'deduction' && mayHaveEffect(write) && hasEffect(write, key, content),
    );
    const isWhole = sendings.some((write) =>
      effectsOf(write).every((effect) => stored.get(effect.key)?.content === effect.content),
    );
    return sendings.length === 0 || isWhole
      ? []
      : [violation('I7', `${order_id}: ${name} is stored, and others of its lines are not`)];
  });
  const committed = final.carts.filter(({ state }) => state === 'committed');
  const unkept = committed.flatMap(({ order_id, lines }) =>
    lines
      .map((line) => flowEffect({ ...line, order_id }))
      .filter(({ key, content }) => stored.get(key)?.content !== content)
      .map(({ name }) => violation('I7', `${order_id}: committed, and ${name} is not stored`)),
  );
  return [...halves, ...unkept];
}

/** I7: no cart stays undecided, and no units stay held for one. */
export function nothingStaysHeld({ final }: RoundBooks): Violation[] {
  return [
    ...final.carts
      .filter(({ state }) => state === 'open')
      .map(({ order_id, attempt }) => violation('I7', `${order_id}: attempt ${attempt} is still open`)),
    ...final.flows
      .filter(({ status }) => status === 'pending')
      .map(({ order_detail_id, sku_id }) => violation('I7', `${order_detail_id} of ${sku_id}: still held`)),
    ...final.holds.map(({ order_detail_id, sku_id }) =>
      violation('I7', `${order_detail_id} of ${sku_id}: still recorded as held`),
    ),
    ...final.stock
      .filter(({ held_amount }) => held_amount !== 0)
      .map(({ sku_id, held_amount }) => violation('I7', `${sku_id}: ${held_amount} still held`)),
  ];
}
