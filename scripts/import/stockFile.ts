import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { parse } from 'csv-parse';
import type { Info } from 'csv-parse';
import { IDENTIFIER_RULE, isIdentifier } from '../../src/core/identifier.ts';
import { STOCK_LIMIT } from '../../src/core/nouns.ts';

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
  let places: readonly number[] | null = null;
  const records = pipeline(decoded(path), parse({ bom: true, info: true, relax_column_count: true, skip_empty_lines: true }), () => undefined);
  for await (const { record, info } of records as AsyncIterable<{ record: readonly string[]; info: Info }>) {
    if (places === null) {
      places = placesOf(record);
      continue;
    }
    const [sku_id = '', amount = ''] = places.map((place) => record[place]);
    const line = info.lines;
    const fault = faultOf(sku_id, amount, lines.get(sku_id));
    if (fault === null) {
      rows.push({ line, sku_id, leaved_amount: Number(amount) });
      lines.set(sku_id, line);
    } else bad.push({ line, fault });
  }
  if (places === null) throw new Error(`${path}: there is nothing in it`);
  return { rows, bad };
}

/** Bytes that are not UTF-8 must not become U+FFFD: two different ids would become one. */
async function* decoded(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) yield decoder.decode(chunk, { stream: true });
    yield decoder.decode();
  } catch (error) {
    throw error instanceof TypeError ? new Error(`${path}: is not well-formed UTF-8`) : error;
  }
}

function placesOf(head: readonly string[]): readonly number[] {
  const places = COLUMNS.map((column) => head.indexOf(column));
  const missing = COLUMNS.filter((_, index) => places[index] === -1);
  if (missing.length > 0) throw new Error(`line 1: there is no column called ${missing.join(', nor ')}`);
  return places;
}

function faultOf(sku_id: string, amount: string, earlierLine: number | undefined): string | null {
  if (!isIdentifier(sku_id)) return `sku_id ${JSON.stringify(sku_id)} ${IDENTIFIER_RULE}`;
  if (!/^\d{1,19}$/.test(amount) || Number(amount) > STOCK_LIMIT) return `leaved_amount ${JSON.stringify(amount)} must be a whole number from 0 to ${STOCK_LIMIT}`;
  return earlierLine === undefined ? null : `sku_id ${JSON.stringify(sku_id)} stands in line ${earlierLine} already`;
}
