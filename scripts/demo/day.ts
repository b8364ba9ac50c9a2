import { readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { projectPath } from '../support/paths.ts';

/** One request: one line of an order. */
export interface Sale {
  readonly order_id: string;
  readonly order_detail_id: string;
  readonly sku_id: string;
  readonly quantity: number;
}

/**
 * The sales of the day, as if `copies` shops like it sold at once. Copies differ in their order ids alone. Copies take
 * turns line by line, each at another place of its day, so that every shard has work at any time.
 */
export function salesOfDay(copies: number): Sale[] {
  const rows = parse<{ invoice: string; stock_code: string; quantity: string }>(
    readFileSync(projectPath('scripts/demo/orders-2011-11-10.csv')),
    { columns: true },
  );
  const day = rows
    .map((row, index) => ({ ...row, line: index + 1, quantity: Number(row.quantity) }))
    .filter(({ quantity }) => quantity > 0);
  return day.flatMap((_, hour) =>
    Array.from({ length: copies }, (_, copy) => {
      const at = (hour + Math.floor((copy * day.length) / copies)) % day.length;
      const { invoice, stock_code, quantity, line } = day[at] as (typeof day)[number];
      return {
        order_id: `${invoice}-${copy + 1}`,
        order_detail_id: `${invoice}-${copy + 1}-${line}`,
        sku_id: stock_code,
        quantity,
      };
    }),
  );
}

/** Of ordinary goods the shelf holds this many times what will be asked for. */
const ORDINARY_SHARE = 1.25;

/**
 * What the shops put on the shelf: more than will be asked for, but of the `popularCount` most wanted goods only
 * `popularShare` of it, so that those sell out.
 */
export function openingStock(
  sales: readonly Sale[],
  { popularCount, popularShare }: { popularCount: number; popularShare: number },
): Map<string, number> {
  const demand = new Map<string, number>();
  for (const { sku_id, quantity } of sales) demand.set(sku_id, (demand.get(sku_id) ?? 0) + quantity);
  const byDemand = [...demand].sort(([, a], [, b]) => b - a);
  return new Map(
    byDemand.map(([sku_id, units], rank) => [sku_id, Math.floor(units * (rank < popularCount ? popularShare : ORDINARY_SHARE))]),
  );
}
