import type { CartSale, CartSalesPage, SalePosition } from '../../core/books/cartSales.ts';
import type { Auditor } from '../../core/ports/auditor.ts';
import type { RestoredShards } from '../../core/ports/restoredShards.ts';
import type { MissingRecord, SoldCart } from '../../core/restore/missingRecord.ts';
import type { CartLine, DeadlineMs, ShardIndex } from '../../core/types.ts';
import { cartText } from '../carts/cartBatches.ts';
import { recordShardOf } from '../carts/recordShard.ts';
import type { Routing } from '../routing/routing.ts';
import { uncommittedCarts } from './uncommittedCarts.ts';

const SALES_AT_A_TIME = 5_000;

interface CartPorts {
  readonly routing: Routing;
  readonly auditor: Auditor;
  readonly shards: RestoredShards;
}

interface CartQuery {
  /** The restored shard. */
  readonly of: ShardIndex;
  /** The shard whose flows are read. */
  readonly shard: ShardIndex;
  /** Its name. */
  readonly toldBy: string;
  /** In milliseconds since 1970. */
  readonly sinceMs: number;
}

/**
 * Finds the records that a restored shard lacks, by the lines that their carts sold on another shard. These are carts
 * with attempts whose orders belong to the restored shard, and transactions that name it as their coordinator.
 */
export async function missingCarts(
  { routing, auditor, shards }: CartPorts,
  { of, shard, toldBy, sinceMs }: CartQuery,
  deadlineMs: DeadlineMs,
): Promise<MissingRecord[]> {
  const lost: MissingRecord[] = [];
  for (let after: SalePosition | null = null; ;) {
    const page: CartSalesPage = await shards.readCartSales(shard, sinceMs, after, SALES_AT_A_TIME, deadlineMs);
    const carts = cartsOf(
      page.sales.filter((sale) => recordShardOf(routing, sale) === of),
      shard,
    );
    const uncommitted = await uncommittedCarts(auditor, of, carts, deadlineMs);
    lost.push(...uncommitted.map((cart) => missingCart(cart, toldBy)));
    if (page.next === null) return lost;
    after = page.next;
  }
}

/** Groups sold lines by cart. @param shard the shard that sold the lines */
function cartsOf(sales: readonly CartSale[], shard: ShardIndex): SoldCart[] {
  const carts = new Map<string, SoldCart & { readonly lines: CartLine[] }>();
  for (const { sku_id, order_detail_id, quantity, ...key } of sales) {
    const cart = carts.get(cartText(key)) ?? { ...key, lines: [] };
    cart.lines.push({ sku_id, order_detail_id, quantity, shard });
    carts.set(cartText(cart), cart);
  }
  return [...carts.values()];
}

/** @param cart with its known lines; the next attempt of the order names all lines, and finds them deducted */
export function missingCart(cart: SoldCart, toldBy: string): MissingRecord {
  return {
    kind: 'cart',
    toldBy,
    sku_id: null,
    order_id: cart.order_id,
    order_detail_id: null,
    id: cart.transaction?.transaction_id ?? String(cart.attempt),
    quantity: null,
    redo: { kind: 'record', cart },
  };
}
