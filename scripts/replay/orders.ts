import { isIdentifier, IDENTIFIER_RULE } from '../../src/core/identifier.ts';
import { QUANTITY_LIMIT } from '../../src/core/types.ts';
import { quoted } from '../../src/core/text/visible.ts';
import { idFault, InvisibleIds } from '../../src/commands/support/csvCells.ts';
import { atLine, parseCsv, readCsv } from '../../src/commands/support/csvFile.ts';
import type { CsvRow } from '../../src/commands/support/csvFile.ts';
import { momentMs } from '../../src/commands/support/moment.ts';

/** One row of the file. */
export interface Row {
  /** Its line in the file, from 1. */
  readonly line: number;
  readonly invoicedAtMs: number;
  readonly invoice: string;
  /** Its number among the rows of its invoice, from 1. */
  readonly number: number;
  readonly stock_code: string;
  /** Units, 1 or more. */
  readonly quantity: number;
  /** Goods that came back: the quantity is negative, or the invoice is a cancellation. */
  readonly isReturn: boolean;
}

const COLUMNS = ['invoiced_at', 'invoice', 'stock_code', 'quantity'] as const;
type Column = (typeof COLUMNS)[number];
/** More faults than these are only counted. */
const FAULTS_SHOWN_MAX = 10;
const QUANTITY_RULE = `a whole number from 1 to ${QUANTITY_LIMIT} in digits, or the same with a minus sign`;
/** Bytes that an id reserves for the dash and the number of the row. */
const SUFFIX_BYTES_MAX = 8;

/**
 * Reads a file of orders. Other columns are ignored, and every row is in the result. Warns of ids with invisible
 * characters.
 *
 * @throws with the first lines that are not valid
 */
export function readOrders(path: string): Promise<Row[]> {
  return ordersOf(readCsv(path, COLUMNS), path);
}

/** The same for bytes in memory. @param name names the file in messages */
export function parseOrders(source: Iterable<Buffer>, name: string): Promise<Row[]> {
  return ordersOf(parseCsv(source, name, COLUMNS), name);
}

async function ordersOf(records: AsyncIterable<CsvRow<Column>>, name: string): Promise<Row[]> {
  const rows: Row[] = [];
  const faults: string[] = [];
  const counted = new Map<string, number>();
  const invisible = new InvisibleIds();
  for await (const record of records) {
    const { line } = record;
    const ofRow = record.fault === null ? faultsOf(record.cells) : [record.fault];
    faults.push(...ofRow.map((fault) => atLine(name, line, fault)));
    if (record.fault !== null) continue;
    const { invoiced_at, invoice, stock_code, quantity } = record.cells;
    const number = (counted.get(invoice) ?? 0) + 1;
    counted.set(invoice, number);
    invisible.add(line, 'invoice', invoice);
    invisible.add(line, 'stock_code', stock_code);
    const units = Number(quantity);
    rows.push({
      line,
      invoicedAtMs: momentMs(invoiced_at) ?? 0,
      invoice,
      number,
      stock_code,
      quantity: Math.abs(units),
      isReturn: units < 0 || invoice.startsWith('C'),
    });
  }
  if (faults.length > 0) throw new Error(messageOf(faults));
  invisible.warn(name);
  return rows;
}

function faultsOf({ invoiced_at, invoice, stock_code, quantity }: Readonly<Record<Column, string>>): string[] {
  const units = Math.abs(Number(quantity));
  const isTime = invoiced_at.endsWith('Z') && momentMs(invoiced_at) !== null;
  const isInvoice = isIdentifier(invoice) && Buffer.byteLength(invoice) + SUFFIX_BYTES_MAX <= 64;
  const isQuantity = /^-?\d+$/.test(quantity) && units >= 1 && units <= QUANTITY_LIMIT;
  const reserved = `of which ${SUFFIX_BYTES_MAX} are reserved for the number of the row`;
  const badCode = idFault('stock_code', stock_code);
  return [
    ...(isTime ? [] : [`invoiced_at is ${quoted(invoiced_at)}, it must be a time like 2009-12-01T09:28:00Z`]),
    ...(isInvoice ? [] : [`invoice is ${quoted(invoice)}, it ${IDENTIFIER_RULE}, ${reserved}`]),
    ...(badCode === null ? [] : [badCode]),
    ...(isQuantity ? [] : [`quantity is ${quoted(quantity)}, it must be ${QUANTITY_RULE}`]),
  ];
}

function messageOf(faults: readonly string[]): string {
  const more = faults.length - FAULTS_SHOWN_MAX;
  return [...faults.slice(0, FAULTS_SHOWN_MAX), ...(more > 0 ? [`and ${more} more`] : [])].join('\n');
}
