import type { Cart } from '../replay/carts.ts';
import { readOrders } from '../replay/orders.ts';
import { projectPath } from '../../src/projectPath.ts';

/**
 * The carts of the day, one per invoice with all its lines, as if `copies` equal shops sold at once. Copies differ only
 * in their order ids. The carts of the copies alternate, each copy at another point of its day, so that every shard has
 * work at any time.
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

/** The sales of each invoice, without returns. */
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

/** The opening stock of an ordinary SKU ÷ the units that will be asked for. */
const ORDINARY_SHARE = 1.25;

/**
 * The opening stock: more units than will be asked for. Only the `popularCount` SKUs with the highest demand get
 * `popularShare` of their demand, so that they sell out.
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
