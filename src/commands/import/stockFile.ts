import { STOCK_LIMIT } from '../../core/types.ts';
import { quoted } from '../../core/text/visible.ts';
import { idFault, InvisibleIds, wholeNumberFault } from '../support/csvCells.ts';
import { readCsv } from '../support/csvFile.ts';

/** A SKU to open, with its line. */
export interface CatalogueRow {
  /** From 1; the head is line 1. */
  readonly line: number;
  readonly sku_id: string;
  readonly leaved_amount: number;
}

/** A row that is not valid. */
export interface BadRow {
  readonly line: number;
  readonly fault: string;
}

export interface StockFile {
  readonly path: string;
  readonly rows: readonly CatalogueRow[];
  readonly bad: readonly BadRow[];
}

const COLUMNS = ['sku_id', 'leaved_amount'] as const;

/**
 * Reads a file of SKUs with their opening stock. Other columns are ignored; every row is in the result, good or bad.
 * Warns of ids with invisible characters.
 *
 * @throws CsvFault when it is no CSV in UTF-8 with these columns and at least one row
 */
export async function readStockFile(path: string): Promise<StockFile> {
  const rows: CatalogueRow[] = [];
  const bad: BadRow[] = [];
  const lines = new Map<string, number>();
  const invisible = new InvisibleIds();
  for await (const row of readCsv(path, COLUMNS)) {
    const { line } = row;
    const fault = row.fault ?? faultOf(row.cells, lines.get(row.cells.sku_id));
    if (fault !== null || row.fault !== null) {
      bad.push({ line, fault: fault ?? '' });
      continue;
    }
    const { sku_id, leaved_amount } = row.cells;
    rows.push({ line, sku_id, leaved_amount: Number(leaved_amount) });
    lines.set(sku_id, line);
    invisible.add(line, 'sku_id', sku_id);
  }
  invisible.warn(path);
  return { path, rows, bad };
}

function faultOf(
  { sku_id, leaved_amount }: Readonly<Record<(typeof COLUMNS)[number], string>>,
  earlierLine: number | undefined,
): string | null {
  const fault = idFault('sku_id', sku_id) ?? wholeNumberFault('leaved_amount', leaved_amount, 0, STOCK_LIMIT);
  if (fault !== null || earlierLine === undefined) return fault;
  return `sku_id ${quoted(sku_id)} is already in line ${earlierLine}, expected each SKU once`;
}
