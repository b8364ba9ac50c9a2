import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { parse } from 'csv-parse';
import type { Info } from 'csv-parse';

/** A row of a file, with its cells in the order in which the columns were asked for. */
export interface CsvRow {
  /** From 1; the head is line 1. */
  readonly line: number;
  readonly cells: readonly (string | undefined)[];
}

/**
 * Reads a CSV file with a head. Columns that were not asked for are passed over.
 *
 * @throws when it is no CSV in UTF-8, it is empty, or a column is missing
 */
export async function* readCsv(path: string, columns: readonly string[]): AsyncGenerator<CsvRow> {
  let places: readonly number[] | null = null;
  const records = pipeline(decoded(path), parse({ bom: true, info: true, relax_column_count: true, skip_empty_lines: true }), () => undefined);
  for await (const { record, info } of records as AsyncIterable<{ record: readonly string[]; info: Info }>) {
    if (places === null) places = placesOf(record, columns);
    else yield { line: info.lines, cells: places.map((place) => record[place]) };
  }
  if (places === null) throw new Error(`${path}: there is nothing in it`);
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

function placesOf(head: readonly string[], columns: readonly string[]): readonly number[] {
  const places = columns.map((column) => head.indexOf(column));
  const missing = columns.filter((_, index) => places[index] === -1);
  if (missing.length > 0) throw new Error(`line 1: there is no column called ${missing.join(', nor ')}`);
  return places;
}
