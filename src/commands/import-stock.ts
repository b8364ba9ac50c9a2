import { Command, Option } from 'commander';
import { SlotMap } from '../core/slots.ts';
import { quoted } from '../core/text/visible.ts';
import { openReportShards } from '../mysql/books/reportShards.ts';
import { BulkOpener } from '../mysql/stock/bulkOpener.ts';
import { ShardReader } from '../mysql/shardReader.ts';
import { importStock } from '../service/stock/importStock.ts';
import type { Imported } from '../service/stock/importStock.ts';
import { Routing } from '../service/routing/routing.ts';
import { readShards } from './support/readShards.ts';
import { readStockFile } from './import/stockFile.ts';
import type { BadRow, StockFile } from './import/stockFile.ts';
import { atLine } from './support/csvFile.ts';
import { progressBar } from './support/progress.ts';
import { assertNoneRefused } from './support/assertNoneRefused.ts';
import { exitAfterFlush, fail, printTable } from './support/report.ts';
import { wholeNumber } from './support/wholeNumber.ts';
import { errorText } from '../core/text/errorText.ts';

const program = new Command('npm run import-stock --')
  .description(
    'Opens all SKUs of a file with their stock, directly on their shards, while gateways run. ' +
      'Can be repeated after a crash: no SKU is opened twice, and no stock is reset. ' +
      'If a row is bad, nothing is imported unless --skip-bad is set. ' +
      'Exit code 0 only if every SKU exists with the opening stock of the file.',
  )
  .argument('<file>', 'CSV in UTF-8 with the columns sku_id and leaved_amount')
  .addOption(
    new Option('--shards <file>', 'the file that lists the shards').env('STOCKGATE_SHARDS').default('shards.config.ts'),
  )
  .option('--skip-bad', 'import the good rows of a file that has bad ones', false)
  .option('--relaxed', 'also import to shards whose server may lose commits in a power failure', false)
  .option('--list <count>', 'the most rows to name of each fault; all are counted', wholeNumber(1), 100)
  .parse();

interface Options {
  readonly shards: string;
  readonly skipBad: boolean;
  readonly relaxed: boolean;
  readonly list: number;
}

const STATEMENT_MS = 10_000;

async function main(path: string, { shards: shardsPath, skipBad, relaxed, list }: Options): Promise<void> {
  const { initialShards, shards } = await readShards(shardsPath);
  const file = await readStockFile(path);
  reportBad(file, list);
  if (file.bad.length > 0 && !skipBad)
    throw new Error('nothing was imported; correct these rows, or skip them with --skip-bad');
  const books = openReportShards({ shards, initialShards, statementMs: STATEMENT_MS, relaxedAllowed: relaxed });
  const routing = new Routing(new SlotMap(initialShards), new ShardReader(books.shards), shards.length);
  const progress = progressBar('importing', file.rows.length, 'SKUs');
  try {
    await Promise.all(books.shards.map((shard) => shard.tried));
    await assertNoneRefused(books.shards, shards);
    const imported = await importStock({ routing, opener: new BulkOpener(books.shards) }, file.rows, (count) =>
      progress.add(count),
    );
    progress.stop();
    print(file, imported, list);
  } finally {
    progress.stop();
    books.close();
  }
}

function reportBad({ path, bad }: StockFile, list: number): void {
  if (bad.length > 0) reportRows(`${bad.length} bad ${bad.length === 1 ? 'row' : 'rows'}`, path, bad, list);
}

function print(
  { path, rows, bad }: StockFile,
  { openedNow, alreadyOpen, differing, unknownOutcome }: Imported,
  list: number,
): void {
  printTable(
    ['rows', 'opened now', 'existed', 'exist with another stock', 'not known', 'bad'],
    [[rows.length + bad.length, openedNow, alreadyOpen, differing.length, unknownOutcome.length, bad.length]],
  );
  const lines = new Map(rows.map(({ sku_id, line }) => [sku_id, line]));
  const lineOf = (sku_id: string): number => lines.get(sku_id) ?? 0;
  if (differing.length > 0) {
    const faults = differing.map(({ sku_id, leaved_amount }) => ({
      line: lineOf(sku_id),
      fault: `${quoted(sku_id)} was opened with ${leaved_amount} units`,
    }));
    reportRows(`${differing.length} SKUs exist with another opening stock, and were not changed`, path, faults, list);
  }
  if (unknownOutcome.length > 0) {
    const faults = unknownOutcome.map(({ stock: { sku_id }, reason }) => ({
      line: lineOf(sku_id),
      fault: `${quoted(sku_id)}: ${reason}`,
    }));
    reportRows(`${unknownOutcome.length} SKUs may exist or not; run the import again`, path, faults, list);
  }
}

/** Also makes the command fail: not every SKU exists as in the file. */
function reportRows(what: string, path: string, rows: readonly BadRow[], list: number): void {
  const named = [...rows].sort((a, b) => a.line - b.line).slice(0, list);
  const more =
    rows.length > named.length ? [`… and ${rows.length - named.length} more; --list names more of them`] : [];
  fail(
    [
      `${what}:`,
      ...named.map(({ line, fault }) => `  ${atLine(path, line, fault)}`),
      ...more.map((text) => `  ${text}`),
    ].join('\n'),
  );
}

main(program.args[0] ?? '', program.opts<Options>())
  .catch((error: unknown) => fail(errorText(error)))
  // A shard that never answered may keep a socket open.
  .finally(exitAfterFlush);
