import { IDENTIFIER_RULE, isIdentifier } from '../../src/core/identifier.ts';
import { STOCK_LIMIT } from '../../src/core/nouns.ts';
import { readCsv } from '../support/csvFile.ts';

/** A SKU that is to be opened, and where the file says so. */
export interface StockRow {
  /** From 1; the head is line 1. */
  readonly line: number;
  readonly sku_id: string;
  readonly leaved_amount: number;
}

/** A row that cannot be meant. */
export interface BadRow {
  readonly line: number;
  readonly fault: string;
}

export interface StockFile {
  readonly rows: readonly StockRow[];
  readonly bad: readonly BadRow[];
}

const COLUMNS = ['sku_id', 'leaved_amount'] as const;

/**
 * Reads a file of SKUs with their opening stock. Columns it does not know are passed over; every row is in the result,
 * good or bad.
 *
 * @throws when it is no CSV in UTF-8, or a column is missing
 */
export async function readStockFile(path: string): Promise<StockFile> {
  const rows: StockRow[] = [];
  const bad: BadRow[] = [];
  const lines = new Map<string, number>();
  for await (const { line, cells: [sku_id = '', amount = ''] } of readCsv(path, COLUMNS)) {
    const fault = faultOf(sku_id, amount, lines.get(sku_id));
    if (fault === null) {
      rows.push({ line, sku_id, leaved_amount: Number(amount) });
      lines.set(sku_id, line);
    } else bad.push({ line, fault });
  }
  return { rows, bad };
}

function faultOf(sku_id: string, amount: string, earlierLine: number | undefined): string | null {
  if (!isIdentifier(sku_id)) return `sku_id ${JSON.stringify(sku_id)} ${IDENTIFIER_RULE}`;
  if (!/^\d{1,19}$/.test(amount) || Number(amount) > STOCK_LIMIT) return `leaved_amount ${JSON.stringify(amount)} must be a whole number from 0 to ${STOCK_LIMIT}`;
  return earlierLine === undefined ? null : `sku_id ${JSON.stringify(sku_id)} stands in line ${earlierLine} already`;
}
