import { Command, InvalidArgumentError, Option } from 'commander';
import { stringify } from 'lossless-json';
import { isStoredIdentifier, STORED_IDENTIFIER_RULE } from '../core/identifier.ts';
import { repairIdPrefixAt } from '../core/books/reconciliation.ts';
import { escaped, quoted } from '../core/text/visible.ts';
import { SlotMap } from '../core/slots.ts';
import type { CartKey } from '../core/types.ts';
import { ShardAuditor } from '../mysql/books/auditor.ts';
import { openReportShards } from '../mysql/books/reportShards.ts';
import { ShardReader } from '../mysql/shardReader.ts';
import { reconcile } from '../service/reconcile/reconcile.ts';
import type { RepairedDifference, Reconciled } from '../service/reconcile/reconcile.ts';
import { Routing } from '../service/routing/routing.ts';
import { readShards } from './support/readShards.ts';
import type { ShardConfig } from '../config/shardsFile.ts';
import { reconcileRestored } from './reconcile/restored.ts';
import type { RestoredOptions } from './reconcile/restoredOptions.ts';
import { momentMs } from './support/moment.ts';
import { progressBar } from './support/progress.ts';
import { assertNoneRefused } from './support/assertNoneRefused.ts';
import { exitAfterFlush, fail, printTable } from './support/report.ts';
import { wholeNumber } from './support/wholeNumber.ts';
import { errorText } from '../core/text/errorText.ts';

const program = new Command('npm run reconcile --')
  .description(
    'Compares stock rows, flows, returns, holds and carts on all shards, while traffic runs. Reports each difference ' +
      'that two reads, a second apart, both show. Exit code 1 if there is one. Can be repeated at any time.',
  )
  .addOption(
    new Option('--shards <file>', 'the file that lists the shards').env('STOCKGATE_SHARDS').default('shards.config.ts'),
  )
  .addOption(new Option('--sku <id>', 'only this SKU').argParser(identifier).conflicts('restored'))
  .addOption(
    new Option(
      '--repair',
      'where a row differs from its journal, write an adjustment that makes the journal equal to the row',
    )
      .default(false)
      .conflicts('restored'),
  )
  .addOption(new Option('--json', 'print the result as JSON').default(false).conflicts('restored'))
  .option('--timeout <seconds>', 'the longest that the whole command may take', wholeNumber(1), 600)
  .optionsGroup('After a shard was restored from a backup (gateways refuse it until this command reopens it):')
  .option(
    '--restored',
    'list the records that are missing on it, by the other shards, and by --orders and --against',
    false,
  )
  .option(
    '--shard <name...>',
    'only these shards; absent: the shards that are below the watermark that other shards recorded of them',
  )
  .option('--orders <file>', 'CSV of lines that the shop has sold: order_id, sku_id, order_detail_id, quantity')
  .option(
    '--against <file>',
    'a file that lists the shards where their reference copies can be read: an intact replica, an old data directory',
  )
  .addOption(
    new Option(
      '--close',
      'close the shards that --shard names, so that no gateway sells from them; nothing else is done',
    )
      .default(false)
      .conflicts(['orders', 'against', 'since', 'putBack', 'accept', 'list']),
  )
  .addOption(
    new Option(
      '--since <moment>',
      'the moment of the backup, as 2026-11-26T08:00:00Z; absent: the watermark of the shard',
    ).argParser(moment),
  )
  .option(
    '--put-back',
    'copy missing records from the reference copy, and repeat, with their ids, operations that only other sources have',
    false,
  )
  .option('--accept', 'reopen it although records are missing or may be missing', false)
  .option('--list <file>', 'append the missing records to a file, a JSON object on each line, instead of printing them')
  .allowExcessArguments(false)
  .parse();

interface Options {
  readonly shards: string;
  readonly sku?: string;
  readonly repair: boolean;
  readonly json: boolean;
  readonly timeout: number;
}

/** Options that are valid only with --restored. */
const OF_RESTORED = ['shard', 'orders', 'against', 'since', 'close', 'putBack', 'accept', 'list'] as const;

async function main({ shards: file, sku, repair, json, timeout }: Options): Promise<void> {
  const { initialShards, shards } = await readShards(file);
  const books = openReportShards({
    shards,
    initialShards,
    statementMs: timeout * 1_000,
    relaxedAllowed: true,
    readOnlyAllowed: !repair,
  });
  const reader = new ShardReader(books.shards);
  const parts = {
    routing: new Routing(new SlotMap(initialShards), reader, shards.length),
    auditor: new ShardAuditor(books.shards),
    reader,
  };
  const progress = progressBar('reconciling', shards.length, 'shards');
  try {
    await Promise.all(books.shards.map((shard) => shard.tried));
    if (repair) await assertNoneRefused(books.shards, shards);
    const result = await reconcile(parts, {
      shardCount: shards.length,
      sku_id: sku ?? null,
      deadlineMs: performance.now() + timeout * 1_000,
      onShard: () => progress.add(1),
      ...(repair ? { repairIdPrefix: repairIdPrefixAt(new Date()) } : {}),
    });
    progress.stop();
    if (result.is === 'unknown') throw new Error(`no SKU is called ${quoted(sku ?? '')}`);
    if (result.is === 'not_done') throw new Error(result.reason);
    // lossless-json prints each digit of an amount: as doubles they would be rounded.
    if (json) console.log(stringify(result, null, 2));
    else print(result, shards);
    judge(result, shards);
  } finally {
    progress.stop();
    books.close();
  }
}

function print({ shards: reports, differences }: Reconciled, shards: readonly ShardConfig[]): void {
  printTable(
    ['shard', 'SKUs', 'flows', 'result'],
    reports.map(({ shard, sku_count, flow_count, fault }) => {
      const count = differences.filter((difference) => difference.shard === shard).length;
      const known = count === 0 ? [] : [`${count} differences`];
      const result = fault === null ? known : [...known, `not all read: ${fault}`];
      return [nameOf(shards, shard), sku_count, flow_count, result.join('; ') || 'in order'];
    }),
  );
  if (differences.length === 0) return;
  printTable(
    ['what', 'shard', 'SKU', 'expected', 'actual', 'flows', 'repair'],
    differences.map((difference) => [
      difference.kind,
      nameOf(shards, difference.shard),
      escaped(difference.sku_id),
      String(difference.expected),
      String(difference.actual),
      flowsOf(difference),
      repairOf(difference),
    ]),
  );
}

function judge({ shards: reports, differences }: Reconciled, shards: readonly ShardConfig[]): void {
  const readFailures = reports.filter(({ fault }) => fault !== null);
  if (readFailures.length > 0)
    fail(`not read: ${readFailures.map(({ shard, fault }) => `${nameOf(shards, shard)} (${fault})`).join(', ')}`);
  const open = differences.filter(({ outcome }) => outcome !== 'repaired');
  if (open.length === 0) return;
  const unknown = open.filter(({ outcome }) => outcome === 'unknown').length;
  const ofUnknown = unknown > 0 ? [`${unknown} with an unknown outcome`] : [];
  const counts = [`${open.length - unknown} not repaired`, ...ofUnknown];
  const reasons = open.map(
    ({ kind, sku_id, shard, outcome, reason }) =>
      `  ${kind} of ${quoted(sku_id)} on ${nameOf(shards, shard)}: ${WORDS[outcome]}, ${reason}`,
  );
  fail([`${differences.length} differences, ${counts.join(', ')}:`, ...reasons].join('\n'));
}

const WORDS: Readonly<Record<RepairedDifference['outcome'], string>> = {
  repaired: 'repaired',
  not_repaired: 'not repaired',
  unknown: 'outcome unknown',
};

function repairOf({ outcome, adjustment_id }: RepairedDifference): string {
  return adjustment_id === null ? WORDS[outcome] : `${WORDS[outcome]}: ${adjustment_id}`;
}

function flowsOf({ flow_count, order_detail_ids, cart }: RepairedDifference): string {
  const more = flow_count > order_detail_ids.length ? `, … (${flow_count})` : '';
  const of = cart === null ? '' : ` of order ${cart.order_id}, ${attemptOf(cart)}`;
  return escaped(`${order_detail_ids.join(', ')}${more}${of}`);
}

function attemptOf({ attempt, transaction }: CartKey): string {
  return transaction === undefined ? `attempt ${attempt}` : `transaction ${transaction.transaction_id}`;
}

function nameOf(shards: readonly ShardConfig[], shard: number): string {
  return shards[shard]?.name ?? String(shard);
}

function identifier(text: string): string {
  if (!isStoredIdentifier(text)) throw new InvalidArgumentError(`It ${STORED_IDENTIFIER_RULE}.`);
  return text;
}

function moment(text: string): Date {
  const ms = momentMs(text);
  if (ms === null) throw new InvalidArgumentError('It must be a moment with its zone, as 2026-11-26T08:00:00Z.');
  return new Date(ms);
}

async function run(): Promise<void> {
  const given = program.opts<Options & RestoredOptions & { restored: boolean }>();
  if (given.restored) return reconcileRestored(given);
  const stray = OF_RESTORED.find((option) => program.getOptionValueSource(option) === 'cli');
  if (stray !== undefined) throw new Error(`--${stray === 'putBack' ? 'put-back' : stray} needs --restored`);
  return main(given);
}

run()
  .catch((error: unknown) => fail(errorText(error)))
  // A shard that never answered may keep a socket open.
  .finally(exitAfterFlush);
