import fc from 'fast-check';
import type { Operation } from '../../src/core/operation.ts';
import { SlotMap } from '../../src/core/slots.ts';

/**
 * Some SKUs of one shard, so that orders of several lines stay on it.
 *
 * @param prefix keeps them apart from those of other tests
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

/** A SKU of a given shard, with a name that begins as asked. */
export function skuOn(shard: number, prefix: string, shards = 16): string {
  const map = new SlotMap(shards);
  for (let number = 0; ; number += 1) {
    const sku_id = `${prefix}-${number}`;
    if (map.shardOf(sku_id) === shard) return sku_id;
  }
}

/**
 * Seeded random traffic of every operation there is: few ids, so that replays, conflicts, sell-outs and unknown SKUs
 * all happen often. New operations join here.
 */
export function operations(sku_ids: readonly string[]): fc.Arbitrary<Operation> {
  const sku_id = fc.constantFrom(...sku_ids);
  const number = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max });
  const line = fc.record({
    sku_id,
    order_detail_id: number(12).map((detail) => `detail-${detail}`),
    quantity: fc.oneof({ weight: 4, arbitrary: number(3) }, { weight: 1, arbitrary: number(30) }),
  });
  const deduct = fc.record({
    kind: fc.constant('deduct' as const),
    order_id: number(3).map((order) => `order-${order}`),
    lines: fc.uniqueArray(line, {
      minLength: 1,
      maxLength: 5,
      selector: ({ sku_id: sku, order_detail_id }) => `${sku}\0${order_detail_id}`,
    }),
  });
  const adjust = fc.record({
    kind: fc.constant('adjust' as const),
    sku_id,
    adjustment_id: number(6).map((adjustment) => `adjustment-${adjustment}`),
    delta: fc.oneof(number(20), number(10).map((units) => -units), fc.constant(Number.MAX_SAFE_INTEGER)),
    reason: fc.constantFrom(null, 'stock-taking'),
  });
  const open = fc.record({ kind: fc.constant('open' as const), sku_id, leaved_amount: fc.constantFrom(0, 5, 40) });
  return fc.oneof({ weight: 6, arbitrary: deduct }, { weight: 2, arbitrary: adjust }, { weight: 1, arbitrary: open });
}
