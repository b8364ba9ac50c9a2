import type { Cart } from '../replay/carts.ts';
import { readOrders } from '../replay/orders.ts';
import { projectPath } from '../support/paths.ts';

/**
 * The carts of the day, one per invoice with all its lines, as if `copies` shops like it sold at once. Copies differ in
 * their order ids alone. They take turns cart by cart, each at another place of its day, so that every shard has work at
 * any time.
 */
export async function cartsOfDay(copies: number): Promise<Cart[]> {
  const day = await invoicesOfDay();
  return day.flatMap((_, hour) =>
    Array.from({ length: copies }, (_, copy) => {
      const at = (hour + Math.floor((copy * day.length) / copies)) % day.length;
      const { order_id, lines } = day[at] as (typeof day)[number];
      const ofCopy = `${order_id}-${copy + 1}`;
      return {
        order_id: ofCopy,
        lines: lines.map((line, index) => ({ ...line, order_detail_id: `${ofCopy}-${index + 1}` })),
      };
    }),
  );
}

/** What was sold on each invoice; what came back is left out. */
async function invoicesOfDay(): Promise<Cart[]> {
  const rows = await readOrders(projectPath('scripts/demo/orders-2011-11-10.csv'));
  const invoices = new Map<string, Cart['lines'][number][]>();
  for (const { invoice, stock_code, quantity, isReturn } of rows) {
    if (isReturn) continue;
    const lines = invoices.get(invoice) ?? [];
    invoices.set(invoice, [...lines, { sku_id: stock_code, order_detail_id: '', quantity }]);
  }
  return [...invoices].map(([order_id, lines]) => ({ order_id, lines }));
}

/** Of ordinary goods the shelf holds this many times what will be asked for. */
const ORDINARY_SHARE = 1.25;

/**
 * What the shops put on the shelf: more than will be asked for, but of the `popularCount` most wanted goods only
 * `popularShare` of it, so that those sell out.
 */
export function openingStock(
  carts: readonly Cart[],
  { popularCount, popularShare }: { popularCount: number; popularShare: number },
): Map<string, number> {
  const demand = new Map<string, number>();
  for (const { sku_id, quantity } of carts.flatMap(({ lines }) => lines))
    demand.set(sku_id, (demand.get(sku_id) ?? 0) + quantity);
  const byDemand = [...demand].sort(([, a], [, b]) => b - a);
  return new Map(
    byDemand.map(([sku_id, units], rank) => [
      sku_id,
      Math.floor(units * (rank < popularCount ? popularShare : ORDINARY_SHARE)),
    ]),
  );
}
