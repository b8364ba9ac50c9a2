import fc from 'fast-check';
import { flowKeyText, STOCK_LIMIT } from '../../../src/core/types.ts';
import type { FlowKey, Line } from '../../../src/core/types.ts';
import type { Operation } from '../../../src/core/operation.ts';
import { SlotMap } from '../../../src/core/slots.ts';

/**
 * Some SKUs of one shard, so that orders of several lines stay on it.
 *
 * @param prefix keeps them apart from the SKUs of other tests
 */
export function skusOnOneShard(prefix: string, count: number, shards = 16): { shard: number; sku_ids: string[] } {
  const map = new SlotMap(shards);
  const shard = map.shardOf(`${prefix}-0`);
  const sku_ids: string[] = [];
  for (let number = 0; sku_ids.length < count; number += 1) {
    const sku_id = `${prefix}-${number}`;
    if (map.shardOf(sku_id) === shard) sku_ids.push(sku_id);
  }
  return { shard, sku_ids };
}

/** A SKU of a given shard, with a name that begins with `prefix`. */
export function skuOn(shard: number, prefix: string, shards = 16): string {
  const map = new SlotMap(shards);
  for (let number = 0; ; number += 1) {
    const sku_id = `${prefix}-${number}`;
    if (map.shardOf(sku_id) === shard) return sku_id;
  }
}

/** Every order detail that `histories` uses. */
export const ORDER_DETAILS: readonly string[] = ['a', 'b', 'c', 'd', 'e', 'f'].map((letter) => `detail-${letter}`);

const ORDERS = 3;
const LONG_AGO = '2001-02-03T04:05:06.789Z';
const FAR_AHEAD = '2999-12-31T23:59:59.999Z';

/** Seeded random traffic, most of it over opened SKUs. */
export function histories(
  sku_ids: readonly string[],
  { stepsMin, stepsMax }: { readonly stepsMin: number; readonly stepsMax: number },
): fc.Arbitrary<Operation[]> {
  const opened = fc.tuple(
    ...sku_ids.map((sku_id) => fc.constantFrom(null, 5, 9, 14, 40).map((leaved_amount) => ({ sku_id, leaved_amount }))),
  );
  const steps = fc.array(step(sku_ids), { minLength: stepsMin, maxLength: stepsMax });
  return fc
    .tuple(opened, steps)
    .map(([openings, later]) => [
      ...openings.flatMap(({ sku_id, leaved_amount }) =>
        leaved_amount === null ? [] : [{ kind: 'open' as const, sku_id, leaved_amount }],
      ),
      ...later.flat(),
    ]);
}

/**
 * Every operation, and operations that often come together. There are few ids, so that replays, conflicts, sell-outs,
 * late holds and unknown SKUs all happen often. New operations belong here.
 */
function step(sku_ids: readonly string[]): fc.Arbitrary<Operation[]> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.oneof(...Array.from({ length: ORDERS }, (_, order) => ofOrder(sku_ids, order))) },
    { weight: 1, arbitrary: ofShop(sku_ids).map((operation) => [operation]) },
  );
}

/** The requests of a shop for one order. Most of its details are its own, so that its operations meet again. */
function ofOrder(sku_ids: readonly string[], order: number): fc.Arbitrary<Operation[]> {
  const order_id = fc.constant(`order-${order}`);
  const own = ORDER_DETAILS.filter((_, place) => place % ORDERS === order);
  const key = {
    sku_id: fc.constantFrom(...sku_ids),
    order_detail_id: fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...own) },
      { weight: 1, arbitrary: fc.constantFrom(...ORDER_DETAILS) },
    ),
  };
  const lines = fc.oneof(
    { weight: 2, arbitrary: fc.constantFrom(...baskets(sku_ids, own)) },
    { weight: 1, arbitrary: some(fc.record({ ...key, quantity: quantities() }), 5) },
  );
  const deduct = fc.record({ kind: fc.constant('deduct' as const), order_id, lines });
  const hold = fc.record({ kind: fc.constant('hold' as const), order_id, attempt: attempts(), lines });
  const decision = fc.constantFrom('committed' as const, 'aborted' as const);
  const settle = fc.record({ kind: fc.constant('settle' as const), order_id, attempt: attempts(), decision, lines });
  const giveBack = fc.record({
    kind: fc.constant('return' as const),
    ...key,
    return_id: numbered('return', 3),
    quantity: fc.constantFrom(1, 1, 1, 2),
  });
  const cancel = fc.record({ kind: fc.constant('cancel' as const), order_id, lines: some(fc.record(key), 2) });
  const completed = fc
    .tuple(hold, decision)
    .map(([held, decision]): Operation[] => [held, { ...held, kind: 'settle', decision }]);
  const returned = fc
    .tuple(deduct, giveBack)
    .map(([sold, back]): Operation[] => [sold, { ...back, ...keyOf(sold.lines[0]) }]);
  return fc.oneof(
    { weight: 10, arbitrary: fc.oneof(deduct, hold, settle, giveBack).map((operation): Operation[] => [operation]) },
    { weight: 1, arbitrary: cancel.map((operation): Operation[] => [operation]) },
    { weight: 3, arbitrary: completed },
    { weight: 3, arbitrary: returned },
  );
}

/** Mostly the first attempt, so that the operations of a cart meet. */
function attempts(): fc.Arbitrary<number> {
  return fc.constantFrom(1, 1, 1, 1, 2, 2, 3);
}

function keyOf(line: Line | undefined): Partial<FlowKey> {
  return line === undefined ? {} : { sku_id: line.sku_id, order_detail_id: line.order_detail_id };
}

/** Baskets that an order repeats: over several SKUs, with two details of one SKU, and with a single line. */
function baskets(sku_ids: readonly string[], details: readonly string[]): Line[][] {
  const line = (sku_id = '', order_detail_id = ''): Line => ({ sku_id, order_detail_id, quantity: 2 });
  return [
    sku_ids.slice(1).map((sku_id) => line(sku_id, details[0])),
    details.map((detail) => line(sku_ids[0], detail)),
    [line(sku_ids[1], details[1])],
  ];
}

/** The operations of an operator. */
function ofShop(sku_ids: readonly string[]): fc.Arbitrary<Operation> {
  const sku_id = fc.constantFrom(...sku_ids);
  const delta = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(3, 20) },
    { weight: 4, arbitrary: fc.constantFrom(-1, -4) },
    { weight: 1, arbitrary: fc.constantFrom(STOCK_LIMIT, STOCK_LIMIT - 14) },
  );
  const adjust = fc.record({
    kind: fc.constant('adjust' as const),
    sku_id,
    adjustment_id: numbered('adjustment', 4),
    delta,
    reason: fc.constantFrom(null, 'stock-taking'),
  });
  const open = fc.record({ kind: fc.constant('open' as const), sku_id, leaved_amount: fc.constantFrom(0, 5, 14) });
  const sale = fc.record({
    kind: fc.constant('sale' as const),
    sku_id,
    state: fc.constantFrom('on' as const, 'on' as const, 'on' as const, 'paused' as const),
    from: fc.constantFrom(null, null, LONG_AGO, LONG_AGO, FAR_AHEAD),
  });
  return fc.oneof({ weight: 3, arbitrary: adjust }, { weight: 2, arbitrary: open }, { weight: 1, arbitrary: sale });
}

function numbered(name: string, max: number): fc.Arbitrary<string> {
  return fc.integer({ min: 1, max }).map((number) => `${name}-${number}`);
}

/** Mostly the same quantity, so that an id usually comes again with the same quantity. */
function quantities(): fc.Arbitrary<number> {
  return fc.oneof(
    { weight: 8, arbitrary: fc.constant(2) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 3 }) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 30 }) },
  );
}

/** Different keys of one request. */
function some<K extends FlowKey>(key: fc.Arbitrary<K>, max: number): fc.Arbitrary<K[]> {
  return fc.uniqueArray(key, { minLength: 1, maxLength: max, selector: flowKeyText });
}
