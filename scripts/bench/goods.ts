import { initialOwner, slotOf } from '../../src/core/slots.ts';
import type { GoodsName } from './arms.ts';

/** The goods of one run: new SKUs, and the baskets that orders choose from. */
export interface Goods {
  /** The start of every id of the run, and of no id of another run. */
  readonly prefix: string;
  readonly sku_ids: readonly string[];
  /** Units of a SKU at the beginning. */
  readonly openingOf: (sku_id: string) => number;
  readonly baskets: readonly (readonly string[])[];
  /** The number of sub-rows of each SKU. */
  readonly sub_rows: number;
}

const SKUS = 1_024;
const LINES_OF_CART = 3;
const CARTS = 1_024;

/** More than any run sells, and less than `QUANTITY_SHORT` asks for. */
export const OPENING = 999_999;
/** So few that they are sold in the first moments of a run. */
const OPENING_SOLD_OUT = 500;
/** One SKU in this many is scarce. An order of three lines has one of them with a chance of about a third. */
const SCARCE_EVERY = 8;
/** Scarce SKUs begin with 1 to this many units, so that they run out one after the other. */
const OPENING_SCARCE_MAX = 32;

const COUNTS: Readonly<Record<GoodsName, number>> = {
  hot: 1,
  sold_out: 1,
  many: SKUS,
  carts: SKUS,
  scarce_carts: SKUS,
};

/** @param shardCount for carts, whose lines lie on as many shards as they have lines */
export function goodsFor(name: GoodsName, prefix: string, shardCount: number): Goods {
  const sku_ids = Array.from(
    { length: COUNTS[name] },
    (_, number) => `${prefix}-sku-${String(number).padStart(4, '0')}`,
  );
  return {
    prefix,
    sku_ids,
    openingOf: openingsOf(name, sku_ids),
    baskets:
      name === 'carts' || name === 'scarce_carts' ? cartsOf(sku_ids, shardCount) : sku_ids.map((sku_id) => [sku_id]),
    sub_rows: 1,
  };
}

function openingsOf(name: GoodsName, sku_ids: readonly string[]): Goods['openingOf'] {
  if (name === 'sold_out') return () => OPENING_SOLD_OUT;
  if (name !== 'scarce_carts') return () => OPENING;
  const scarce = sku_ids.filter((_, number) => number % SCARCE_EVERY === 0);
  const openings = new Map(scarce.map((sku_id, number) => [sku_id, 1 + (number % OPENING_SCARCE_MAX)]));
  return (sku_id) => openings.get(sku_id) ?? OPENING;
}

/** One SKU on `sub_rows` sub-rows. */
export function splitGoods(prefix: string, sub_rows: number): Goods {
  return { ...goodsFor('hot', prefix, 1), sub_rows };
}

/** `count` SKUs, each on another shard. */
export function spreadGoods(prefix: string, count: number, shardCount: number): Goods {
  if (count > shardCount) throw new Error(`${count} SKUs cannot lie on as many of ${shardCount} shards`);
  const byShard = new Map<number, string>();
  for (const sku_id of goodsFor('many', prefix, shardCount).sku_ids) {
    const shard = shardOf(sku_id, shardCount);
    if (byShard.size < count && !byShard.has(shard)) byShard.set(shard, sku_id);
  }
  const sku_ids = [...byShard.values()];
  return { prefix, sku_ids, openingOf: () => OPENING, baskets: sku_ids.map((sku_id) => [sku_id]), sub_rows: 1 };
}

export function shardOf(sku_id: string, shardCount: number): number {
  return initialOwner(slotOf(sku_id), shardCount);
}

/** Carts of SKUs that follow each other in the list, each SKU of a cart on another shard. */
function cartsOf(sku_ids: readonly string[], shardCount: number): string[][] {
  if (shardCount < LINES_OF_CART) throw new Error('a cart of three lines needs three shards');
  return Array.from({ length: CARTS }, (_, first) => {
    const lines = new Map<number, string>();
    for (let step = 0; lines.size < LINES_OF_CART; step += 1) {
      const sku_id = sku_ids[(first + step) % sku_ids.length] ?? '';
      const shard = shardOf(sku_id, shardCount);
      if (!lines.has(shard)) lines.set(shard, sku_id);
    }
    return [...lines.values()];
  });
}
