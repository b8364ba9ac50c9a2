import type { Books } from '../../src/core/books/books.ts';
import { cartFaults, unitsOfCartBySku } from '../replay/carts.ts';
import type { Cart, StoredFlows } from '../replay/carts.ts';
import type { AnsweredOrder } from '../replay/orderFigures.ts';

/** A cart that was refused, and the SKUs that were named as short. */
export interface RefusedCart {
  readonly cart: Cart;
  readonly short: readonly string[];
}

/** The record of the shops: the answers of the day, to compare with the books of the shards. */
export interface ShopRecord {
  readonly sold: Cart[];
  readonly refused: RefusedCart[];
  /** Refusals that contradict themselves, in sentences. */
  readonly faults: string[];
  /** The first answers to all carts. A cart that was sent again after its answer is here once. */
  readonly answered: AnsweredOrder[];
  /** The number of carts that were sent again after their answer, and got the same answer. */
  replayed: number;
}

/** The units left of each SKU at the end of the day, as the gateway reports them. */
export type UnitsLeft = ReadonlyMap<string, number>;

/** The stored state of the shards at the end of the day. */
export interface FinalStock {
  readonly opening: ReadonlyMap<string, number>;
  readonly leftovers: UnitsLeft;
  readonly books: readonly Books[];
  readonly flows: StoredFlows;
}

/**
 * Compares the record of the shops with the books of the shards.
 *
 * @returns every contradiction in a sentence; none means that the day balances
 */
export function contradictions(ledger: ShopRecord, { opening, leftovers, books, flows }: FinalStock): string[] {
  const found = [...ledger.faults];
  const sold = new Map<string, number>();
  for (const { sku_id, quantity } of ledger.sold.flatMap(({ lines }) => lines))
    sold.set(sku_id, (sold.get(sku_id) ?? 0) + quantity);
  for (const [sku_id, units] of opening) {
    const expected = units - (sold.get(sku_id) ?? 0);
    const left = leftovers.get(sku_id);
    if (expected < 0) found.push(`${sku_id}: ${-expected} units sold that were not there`);
    if (left !== expected) found.push(`${sku_id}: ${left} left, the shops count ${expected}`);
  }
  found.push(...ledger.refused.flatMap((refused) => wrongRefusals(refused, leftovers)));
  found.push(...cartFaults(judged(ledger), flows, new Map()));
  const lines = ledger.sold.reduce((sum, cart) => sum + cart.lines.length, 0);
  if (flows.size !== lines) found.push(`${flows.size} flows are stored, the shops count ${lines}`);
  books.forEach(({ differences }, shard) => {
    for (const { sku_id, leaved, expected } of differences) {
      found.push(`shard ${shard}, ${sku_id}: ${leaved} left, the journal says ${expected}`);
    }
  });
  return found;
}

/**
 * There are no returns during the day, so a SKU that was short at a refusal is short at the end. One short line refuses
 * a cart; every SKU that the refusal names must have been short.
 */
function wrongRefusals({ cart, short }: RefusedCart, leftovers: UnitsLeft): string[] {
  const asked = unitsOfCartBySku(cart);
  return short
    .filter((sku_id) => (leftovers.get(sku_id) ?? 0) >= (asked.get(sku_id) ?? 0))
    .map(
      (sku_id) =>
        `order ${cart.order_id}: refused ${asked.get(sku_id)} of ${sku_id}, of which ${leftovers.get(sku_id)} are left`,
    );
}

function judged({ sold, refused }: ShopRecord) {
  return [
    ...sold.map((cart) => ({ cart, outcome: 'sold' as const })),
    ...refused.map(({ cart }) => ({ cart, outcome: 'refused' as const })),
  ];
}
