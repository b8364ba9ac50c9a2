import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { CsvError, parse } from 'csv-parse/sync';
import { quoted } from '../../core/text/visible.ts';
import { RowSplitter } from './csvRows.ts';
import type { RawRow } from './csvRows.ts';

/** A row of a file: its cells by column, or its fault. */
export type CsvRow<Column extends string> =
  | { readonly line: number; readonly fault: null; readonly cells: Readonly<Record<Column, string>> }
  | { readonly line: number; readonly fault: string };

/** A rejected file. The message names the file, the line if there is one, the text found and the form expected. */
export class CsvFault extends Error {
  constructor(file: string, line: number | null, fault: string) {
    super(line === null ? `${file}: ${fault}` : atLine(file, line, fault));
  }
}

/** A message about a line of a file. */
export function atLine(file: string, line: number, fault: string): string {
  return `${file}, line ${line}: ${fault}`;
}

/** A larger row most likely lacks its closing quote. */
const ROW_BYTES_MAX = 1024 * 1024;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const PARSING = { relax_column_count: true, record_delimiter: ['\r\n', '\n'] };
const LISTED_MAX = 20;
const QUOTES_RULE = 'expected quotes only around a whole cell, and a quote within it written twice';

/**
 * Reads a CSV file in UTF-8 with a head and at least one row. Other columns and empty lines are ignored. A row with
 * another number of cells than the head is returned with its fault, and the caller rejects it.
 *
 * @param columns must be in the head, each once
 * @throws CsvFault when the file or its head is not valid, at bytes that are not UTF-8, and at a misplaced quote
 */
export function readCsv<Column extends string>(
  path: string,
  columns: readonly Column[],
): AsyncGenerator<CsvRow<Column>> {
  return parseCsv(bytesOf(path), path, columns);
}

/** The same for bytes in memory. @param name names the file in messages */
export async function* parseCsv<Column extends string>(
  source: Iterable<Buffer> | AsyncIterable<Buffer>,
  name: string,
  columns: readonly Column[],
): AsyncGenerator<CsvRow<Column>> {
  let head: Head<Column> | null = null;
  let hasRow = false;
  for await (const rows of rowsOf(source, name)) {
    for (const { line, cells } of cellsOf(rows, name)) {
      if (head === null) {
        head = headOf(cells, columns, name, line);
        continue;
      }
      hasRow = true;
      yield rowOf(head, line, cells);
    }
  }
  if (head === null) {
    throw new CsvFault(name, null, `is empty, expected the head ${columns.join(',')} and at least one row`);
  }
  if (!hasRow) throw new CsvFault(name, head.line, 'no row follows the head, expected at least one');
}

interface Head<Column> {
  readonly line: number;
  readonly names: readonly string[];
  readonly places: readonly (readonly [Column, number])[];
}

async function* bytesOf(path: string): AsyncGenerator<Buffer> {
  try {
    yield* createReadStream(path) as AsyncIterable<Buffer>;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const found =
      code === 'ENOENT'
        ? 'there is no such file'
        : code === 'EISDIR'
          ? 'is a directory'
          : `cannot be read (${message})`;
    throw new CsvFault(path, null, `${found}, expected a CSV file in UTF-8`);
  }
}

/** @returns groups of rows, without empty lines and the byte order mark */
async function* rowsOf(source: Iterable<Buffer> | AsyncIterable<Buffer>, name: string): AsyncGenerator<RawRow[]> {
  const splitter = new RowSplitter();
  const checked = (rows: readonly RawRow[]): RawRow[] => rows.map(withoutMark).filter((row) => isFilled(row, name));
  for await (const chunk of source) {
    yield checked(splitter.push(chunk));
    const { line, bytes } = splitter.rest;
    if (bytes.length > ROW_BYTES_MAX) {
      throw new CsvFault(name, line, `a row of more than ${ROW_BYTES_MAX} bytes, ${QUOTES_RULE}`);
    }
  }
  yield checked(splitter.end());
}

function withoutMark(row: RawRow): RawRow {
  return row.line === 1 && row.bytes.subarray(0, 3).equals(BYTE_ORDER_MARK)
    ? { ...row, bytes: row.bytes.subarray(3) }
    : row;
}

/** Bytes that are not UTF-8 must not become U+FFFD: two different ids could become equal. */
function isFilled({ line, bytes }: RawRow, name: string): boolean {
  if (!isUtf8(bytes)) {
    throw new CsvFault(
      name,
      line,
      `${quoted(bytes.toString('latin1').trimEnd())} (read as ISO 8859-1) is not UTF-8, expected a file in UTF-8`,
    );
  }
  return !/^\r?\n?$/.test(bytes.toString('latin1', 0, 3));
}

interface Cells {
  readonly line: number;
  readonly cells: readonly string[];
}

/** Parses many rows at once, which is much faster. Only when one of them has a fault, each row is parsed by itself. */
function* cellsOf(rows: readonly RawRow[], name: string): Generator<Cells> {
  const records = recordsOf(Buffer.concat(rows.map(({ bytes }) => bytes)));
  if (records?.length === rows.length) {
    for (const [index, { line }] of rows.entries()) yield { line, cells: records[index] ?? [] };
    return;
  }
  for (const { line, bytes } of rows) {
    const [cells, more] = recordsOf(bytes) ?? [];
    if (cells === undefined || more !== undefined) {
      throw new CsvFault(
        name,
        line,
        `${quoted(bytes.toString().trimEnd())} has a quote in the wrong place, ${QUOTES_RULE}`,
      );
    }
    yield { line, cells };
  }
}

/** @returns null when a quote is in the wrong place */
function recordsOf(bytes: Buffer): string[][] | null {
  try {
    return parse(bytes, PARSING);
  } catch (error) {
    if (error instanceof CsvError) return null;
    throw error;
  }
}

/** A column without a name, or with the name of another one, is rejected: the wrong column could be read unnoticed. */
function headOf<Column extends string>(
  names: readonly string[],
  columns: readonly Column[],
  file: string,
  line: number,
): Head<Column> {
  const shown = listed(names);
  const known = new Set<string>();
  for (const [index, name] of names.entries()) {
    const alike = likeness(name);
    if (alike === '') {
      throw new CsvFault(
        file,
        line,
        `column ${index + 1} of the head ${shown} has no name, expected one for each column`,
      );
    }
    if (known.has(alike)) {
      throw new CsvFault(
        file,
        line,
        `the head ${shown} names the column ${quoted(name)} twice, expected each column once`,
      );
    }
    known.add(alike);
  }
  const missing = columns.filter((column) => !names.includes(column));
  if (missing.length > 0) {
    throw new CsvFault(
      file,
      line,
      `the head ${shown} has no column ${missing.join(', ')}, expected the columns ${columns.join(', ')}`,
    );
  }
  return { line, names, places: columns.map((column) => [column, names.indexOf(column)]) };
}

/** Quoted texts for a message; of a long row only the first ones. */
function listed(texts: readonly string[]): string {
  const shown = texts.slice(0, LISTED_MAX).map(quoted).join(', ');
  return texts.length <= LISTED_MAX ? shown : `${shown}, …`;
}

/** Equal for names that differ only in letter case, spaces and invisible characters: they look equal to a reader. */
function likeness(name: string): string {
  return name.toLowerCase().replaceAll(/[\p{Z}\p{C}\p{Default_Ignorable_Code_Point}]/gu, '');
}

function rowOf<Column extends string>(
  { names, places }: Head<Column>,
  line: number,
  cells: readonly string[],
): CsvRow<Column> {
  if (cells.length !== names.length) {
    const expected = `expected ${names.length} as in the head: ${listed(names)}`;
    return { line, fault: `${cells.length} cells ${listed(cells)}, ${expected}` };
  }
  return {
    line,
    fault: null,
    cells: Object.fromEntries(places.map(([column, place]) => [column, cells[place] ?? ''])) as Record<Column, string>,
  };
}
