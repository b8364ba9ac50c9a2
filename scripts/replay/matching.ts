import type { Row } from './orders.ts';

/** Units of a return row that belong to one sale; null when no earlier sale in the file has them. */
export interface Match {
  readonly row: Row;
  readonly sale: Row | null;
  readonly quantity: number;
}

interface Sale {
  readonly row: Row;
  left: number;
}

/**
 * Finds the sale of each returned unit: the latest earlier sale of the SKU with enough units that were not returned
 * yet. If no sale has enough, the units are taken from the latest sale, then from the one before it, and so on. Any
 * further units have no sale in the file.
 */
export function matchReturns(rows: readonly Row[]): Match[] {
  const sales = new Map<string, Sale[]>();
  return rows.flatMap((row) => {
    const ofSku = sales.get(row.stock_code) ?? [];
    if (row.isReturn) return matchOne(row, ofSku);
    ofSku.push({ row, left: row.quantity });
    sales.set(row.stock_code, ofSku);
    return [];
  });
}

function matchOne(row: Row, sales: readonly Sale[]): Match[] {
  const enough = sales.findLast(({ left }) => left >= row.quantity);
  if (enough !== undefined) {
    enough.left -= row.quantity;
    return [{ row, sale: enough.row, quantity: row.quantity }];
  }
  const matches: Match[] = [];
  let missing = row.quantity;
  for (const sale of [...sales].reverse()) {
    const quantity = Math.min(sale.left, missing);
    if (quantity === 0) continue;
    sale.left -= quantity;
    missing -= quantity;
    matches.push({ row, sale: sale.row, quantity });
  }
  return missing === 0 ? matches : [...matches, { row, sale: null, quantity: missing }];
}
