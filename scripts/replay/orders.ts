import { readFileSync } from 'node:fs';
import { CsvError, parse } from 'csv-parse/sync';
import type { InfoRecord } from 'csv-parse/sync';
import { isIdentifier, IDENTIFIER_RULE } from '../../src/core/identifier.ts';
import { QUANTITY_LIMIT } from '../../src/core/nouns.ts';

/** One row of the file. */
export interface Row {
  /** Where it stands in the file, from 1. */
  readonly line: number;
  readonly invoicedAtMs: number;
  readonly invoice: string;
  /** Which row of its invoice it is, from 1. */
  readonly number: number;
  readonly stock_code: string;
  /** Units, 1 or more. */
  readonly quantity: number;
  /** Goods that came back: the quantity is negative, or the invoice is a cancellation. */
  readonly isReturn: boolean;
}

/** A file that cannot be replayed as it is; the message names lines. */
export class BadFile extends Error {}

const COLUMNS = ['invoiced_at', 'invoice', 'stock_code', 'quantity'] as const;
/** More faults than these are only counted. */
const FAULTS_TOLD_MAX = 10;
/** Room in an id for the dash and the row's number. */
const SUFFIX_BYTES_MAX = 8;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

type Text = Readonly<Record<(typeof COLUMNS)[number], string>>;

/**
 * Reads a file of orders. Columns it does not know are passed over, every row is in the result.
 *
 * @throws BadFile naming the lines, when anything in it cannot be meant
 */
export function readOrders(path: string): Row[] {
  return parseOrders(decode(path), path);
}

/** @param name how the file is called in messages */
export function parseOrders(text: string, name: string): Row[] {
  const records = parseCsv(text, name);
  if (records.length === 0) throw new BadFile(`${name}: there is no row in it`);
  const faults: string[] = [];
  const counted = new Map<string, number>();
  const rows = records.map(({ record, info }): Row => {
    const number = (counted.get(record.invoice) ?? 0) + 1;
    counted.set(record.invoice, number);
    faults.push(...faultsOf(record).map((fault) => `line ${info.lines}: ${fault}`));
    const quantity = Number(record.quantity);
    return {
      line: info.lines,
      invoicedAtMs: Date.parse(record.invoiced_at),
      invoice: record.invoice,
      number,
      stock_code: record.stock_code,
      quantity: Math.abs(quantity),
      isReturn: quantity < 0 || record.invoice.startsWith('C'),
    };
  });
  if (faults.length > 0) throw new BadFile(`${name}: ${tell(faults)}`);
  return rows;
}

function decode(path: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw new BadFile(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new BadFile(`${path}: not well-formed UTF-8`);
  }
}

function parseCsv(text: string, name: string): { record: Text; info: InfoRecord }[] {
  const columns = (header: string[]): string[] => {
    const missing = COLUMNS.filter((column) => !header.includes(column));
    if (missing.length > 0) throw new BadFile(`${name}: line 1: no column is called ${missing.join(', ')}; there are ${header.join(', ')}`);
    const twice = COLUMNS.filter((column) => header.indexOf(column) !== header.lastIndexOf(column));
    if (twice.length > 0) throw new BadFile(`${name}: line 1: ${twice.join(', ')} is there twice`);
    return header;
  };
  try {
    // The form with `info` is one that the library's types do not know.
    return parse(text, { columns, bom: true, info: true, skip_empty_lines: true }) as unknown as { record: Text; info: InfoRecord }[];
  } catch (error) {
    if (error instanceof CsvError) throw new BadFile(`${name}: ${error.message}`);
    throw error;
  }
}

function faultsOf({ invoiced_at, invoice, stock_code, quantity }: Text): string[] {
  const units = Math.abs(Number(quantity));
  return [
    ...(TIME.test(invoiced_at) && !Number.isNaN(Date.parse(invoiced_at)) ? [] : [`invoiced_at '${invoiced_at}' is not a time like 2009-12-01T09:28:00Z`]),
    ...(isIdentifier(invoice) && Buffer.byteLength(invoice) + SUFFIX_BYTES_MAX <= 64 ? [] : [`invoice '${invoice}' cannot be an id: ${IDENTIFIER_RULE}, and ${SUFFIX_BYTES_MAX} bytes are needed for the row`]),
    ...(isIdentifier(stock_code) ? [] : [`stock_code '${stock_code}' ${IDENTIFIER_RULE}`]),
    ...(/^-?\d+$/.test(quantity) && units >= 1 && units <= QUANTITY_LIMIT ? [] : [`quantity '${quantity}' is not a whole number from 1 to ${QUANTITY_LIMIT}, or the same below zero`]),
  ];
}

function tell(faults: readonly string[]): string {
  const more = faults.length - FAULTS_TOLD_MAX;
  return [...faults.slice(0, FAULTS_TOLD_MAX), ...(more > 0 ? [`and ${more} more`] : [])].join('\n  ');
}
