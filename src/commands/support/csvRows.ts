/** The bytes of one row with its line end. A row has several lines when a quoted cell contains line ends. */
export interface RawRow {
  /** Its first line, from 1. */
  readonly line: number;
  readonly bytes: Buffer;
}

const LINE_FEED = 0x0a;
const QUOTE = 0x22;

/**
 * Splits the bytes of a CSV file into rows. A line end belongs to a cell while the number of quotes before it in the
 * row is odd, as in RFC 4180. The parser of the row finds misplaced quotes.
 */
export class RowSplitter {
  #line = 1;
  #rest: Buffer = Buffer.alloc(0);

  /** The bytes so far of the row that is not complete yet. */
  get rest(): RawRow {
    return { line: this.#line, bytes: this.#rest };
  }

  /** @returns the rows that are complete with these bytes */
  push(chunk: Buffer): RawRow[] {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const rows: RawRow[] = [];
    let start = 0;
    let quotes = 0;
    let lines = 0;
    for (let place = 0; place < bytes.length; place += 1) {
      const byte = bytes[place];
      if (byte === QUOTE) quotes += 1;
      if (byte !== LINE_FEED) continue;
      lines += 1;
      if (quotes % 2 === 1) continue;
      rows.push({ line: this.#line, bytes: bytes.subarray(start, place + 1) });
      this.#line += lines;
      [start, quotes, lines] = [place + 1, 0, 0];
    }
    this.#rest = bytes.subarray(start);
    return rows;
  }

  /** @returns the last row of a file without a final line end */
  end(): RawRow[] {
    return this.#rest.length === 0 ? [] : [this.rest];
  }
}
