import { expect } from 'chai';
import { escaped, hasInvisible, quoted } from '../../src/core/text/visible.ts';
import { parseCsv } from '../../src/commands/support/csvFile.ts';
import { momentMs } from '../../src/commands/support/moment.ts';

const HEAD = 'sku_id,leaved_amount';
const MISPLACED =
  'has a quote in the wrong place, expected quotes only around a whole cell, and a quote within it written twice';
const NEEDED = '"sku_id", "leaved_amount"';

/** @param pieces the number of pieces in which the bytes are passed to the reader */
async function read(content: string | Buffer, pieces = 1): Promise<string[]> {
  const bytes = Buffer.from(content);
  const length = Math.max(1, Math.ceil(bytes.length / pieces));
  const chunks = Array.from({ length: pieces }, (_, piece) => bytes.subarray(piece * length, (piece + 1) * length));
  const seen: string[] = [];
  try {
    for await (const row of parseCsv(chunks, 'f.csv', ['sku_id', 'leaved_amount'])) {
      seen.push(`${row.line}: ${row.fault ?? JSON.stringify([row.cells.sku_id, row.cells.leaved_amount])}`);
    }
  } catch (error) {
    seen.push((error as Error).message);
  }
  return seen;
}

describe('the CSV reader', () => {
  const fits: readonly [what: string, content: string, rows: readonly string[]][] = [
    ['rows', `${HEAD}\na,1\nb,2\n`, ['2: ["a","1"]', '3: ["b","2"]']],
    ['a last row without a line end', `${HEAD}\r\na,1`, ['2: ["a","1"]']],
    ['a byte order mark', `\uFEFF${HEAD}\na,1\n`, ['2: ["a","1"]']],
    ['further columns in any order', `x,leaved_amount,y,sku_id\n,1,,a\n`, ['2: ["a","1"]']],
    ['both line ends, empty lines', `\n${HEAD}\r\n\r\na,1\n\n\nb,2\r\n\r\n`, ['4: ["a","1"]', '7: ["b","2"]']],
    [
      'quotes, commas and line ends in cells',
      `${HEAD},note\r\n"a,""b""",1,"two\r\nlines"\r\nc,"2",\r\n`,
      ['2: ["a,\\"b\\"","1"]', '4: ["c","2"]'],
    ],
    ['a mark that is not the first character of the file', `${HEAD}\n\uFEFFa,1\n`, ['2: ["\uFEFFa","1"]']],
  ];
  for (const [what, content, rows] of fits) {
    it(`accepts ${what}, wherever a piece of the file ends`, async () => {
      for (const pieces of [1, 2, 3, 7, content.length]) {
        expect(await read(content, pieces), `${pieces} pieces`).to.deep.equal(rows);
      }
    });
  }

  const headFault = (head: string, fault: string): readonly [string, string, string] => [
    `the head ${head}`,
    `${head}\na,1\n`,
    `f.csv, line 1: ${fault}`,
  ];
  const faults: readonly (readonly [what: string, content: string | Buffer, message: string])[] = [
    headFault(
      'sku,amount',
      'the head "sku", "amount" has no column sku_id, leaved_amount, expected the columns sku_id, leaved_amount',
    ),
    headFault(
      'sku_id,leaved_amount,leaved_amount',
      `the head ${NEEDED}, "leaved_amount" names the column "leaved_amount" twice, expected each column once`,
    ),
    headFault(
      'sku_id,leaved_amount,x,x',
      'the head "sku_id", "leaved_amount", "x", "x" names the column "x" twice, expected each column once',
    ),
    headFault(
      'sku_id,leaved_amount, Leaved_amount',
      `the head ${NEEDED}, " Leaved_amount" names the column " Leaved_amount" twice, expected each column once`,
    ),
    headFault(
      'sku_id,leaved_amount,',
      'column 3 of the head "sku_id", "leaved_amount", "" has no name, expected one for each column',
    ),
    headFault(
      'sku_id,leaved_amount,\u200b',
      'column 3 of the head "sku_id", "leaved_amount", "\\u200b" has no name, expected one for each column',
    ),
    headFault(
      'sku_id, leaved_amount',
      'the head "sku_id", " leaved_amount" has no column leaved_amount, expected the columns sku_id, leaved_amount',
    ),
    ['an empty file', '', 'f.csv: is empty, expected the head sku_id,leaved_amount and at least one row'],
    [
      'a file of empty lines',
      '\n\r\n\n',
      'f.csv: is empty, expected the head sku_id,leaved_amount and at least one row',
    ],
    ['a head without rows', `${HEAD}\n\n`, 'f.csv, line 1: no row follows the head, expected at least one'],
    ['a quote within a cell', `${HEAD}\na"b,1\n`, `f.csv, line 2: "a\\"b,1" ${MISPLACED}`],
    ['text behind a quote', `${HEAD}\n"a"b,1\n`, `f.csv, line 2: "\\"a\\"b,1" ${MISPLACED}`],
    ['a quote that does not end', `${HEAD}\n"a,1\nb,2\n`, `f.csv, line 2: "\\"a,1\\nb,2" ${MISPLACED}`],
    [
      'bytes that are not UTF-8',
      Buffer.from(`${HEAD}\ncaf\xe9,1\n`, 'latin1'),
      'f.csv, line 2: "café,1" (read as ISO 8859-1) is not UTF-8, expected a file in UTF-8',
    ],
  ];
  for (const [what, content, message] of faults) {
    it(`rejects ${what}`, async () => {
      for (const pieces of [1, 3, 11]) expect(await read(content, pieces)).to.deep.equal([message]);
    });
  }

  it('reports rows with another number of cells than the head, and continues', async () => {
    expect(await read(`${HEAD}\na,1,000\nb\n\nc,3\n,,\n`)).to.deep.equal([
      '2: 3 cells "a", "1", "000", expected 2 as in the head: "sku_id", "leaved_amount"',
      '3: 1 cells "b", expected 2 as in the head: "sku_id", "leaved_amount"',
      '5: ["c","3"]',
      '6: 3 cells "", "", "", expected 2 as in the head: "sku_id", "leaved_amount"',
    ]);
  });

  it('names the line of a misplaced quote after correct rows', async () => {
    expect(await read(`${HEAD}\n"a\r\n",1\nb,"2"3\nc,3\n`)).to.deep.equal([
      '2: ["a\\r\\n","1"]',
      `f.csv, line 4: "b,\\"2\\"3" ${MISPLACED}`,
    ]);
  });

  it('stops reading when a quote is not closed within 1 MiB', async () => {
    const [message] = await read(`${HEAD}\n"${'a'.repeat(3 << 20)}`, 64);
    expect(message).to.match(/^f.csv, line 2: a row of more than 1048576 bytes, expected quotes/);
  });
});

describe('texts in messages', () => {
  it('show invisible characters as escapes', () => {
    for (const [text, shown] of [
      ['A\u00a0B', '"A\\u00a0B"'],
      ['\ufeffA', '"\\ufeffA"'],
      ['A\u200b', '"A\\u200b"'],
      ['A\u00ad1', '"A\\u00ad1"'],
      ['A\u{e0041}', '"A\\udb40\\udc41"'],
      ['\u2028\u3000\ud800', '"\\u2028\\u3000\\ud800"'],
    ] as const) {
      expect([quoted(text), hasInvisible(text)], shown).to.deep.equal([shown, true]);
    }
    for (const text of ['A B', 'Zoë', '名前', '🎁', '"quoted"']) {
      expect([escaped(text), hasInvisible(text)]).to.deep.equal([text, false]);
    }
    expect(quoted('a'.repeat(201))).to.equal(`"${'a'.repeat(200)}"… (201 characters)`);
  });
});

describe('moments in files and options', () => {
  it('are exact: a day beyond the end of a month is rejected', () => {
    expect(momentMs('2026-02-28T08:00:00Z')).to.equal(Date.UTC(2026, 1, 28, 8));
    expect(momentMs('2028-02-29T08:00+02:00')).to.equal(Date.UTC(2028, 1, 29, 6));
    for (const text of [
      '2026-02-29T08:00:00Z',
      '2026-04-31T08:00:00Z',
      '2026-13-01T00:00:00Z',
      '2026-01-01T25:00:00Z',
      '2026-01-01T08:00:00',
      '2026-01-01',
      '2026-01-01Tx Z',
      '',
    ])
      expect(momentMs(text), text).to.equal(null);
  });
});
