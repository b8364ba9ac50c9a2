import { createHash } from 'node:crypto';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { FlowKey } from '../src/core/types.ts';
import {
  answerFaults,
  expectedStateFaults,
  expectedStateOf,
  replayFaults,
  eventsToRepeat,
} from './replay/expectedState.ts';
import { readOrders } from './replay/orders.ts';
import { firstCarts, openingStockOf, planReplay } from './replay/plan.ts';
import type { Plan, ReplayEvent } from './replay/plan.ts';
import { play } from './replay/play.ts';
import type { Results } from './replay/play.ts';
import { Sender } from './replay/sender.ts';
import { printBooks, printPasses } from './replay/tables.ts';
import type { Pass } from './replay/tables.ts';
import { openSkus, startTarget, useTarget } from './replay/target.ts';
import type { Target } from './replay/target.ts';
import { databaseInspector, gatewayInspector, readLeft } from './replay/inspector.ts';
import type { StockInspector } from './replay/inspector.ts';
import { stopOnSignalOrParentExit } from './support/lifetime.ts';
import { progressBar } from '../src/commands/support/progress.ts';
import { exitAfterFlush, fail } from '../src/commands/support/report.ts';
import { wholeNumber } from '../src/commands/support/wholeNumber.ts';
import { errorText } from '../src/core/text/errorText.ts';

const program = new Command('npm run replay --')
  .description(
    'Sends a file of real orders. Every invoice is one cart, all or nothing. Every cancellation is sent as returns ' +
      'of the latest earlier sales. Ends with a reconciliation. ' +
      'Exit code 0 only if every cart is whole and all amounts add up.',
  )
  .argument('<file>', 'CSV with the columns invoiced_at, invoice, stock_code and quantity')
  .option('--concurrency <count>', 'the number of concurrent requests', wholeNumber(1), 64)
  .option('--carts <count>', 'send only the first carts of the file, and their returns.', wholeNumber(1))
  .option('--speed <factor>', 'times as fast as it really was; 0: as fast as possible', decimal, 0)
  .option(
    '--stock-factor <factor>',
    'the stock of each SKU, as a share of the units that the file asks for; below 1 goods sell out',
    decimal,
    1,
  )
  .option('--twice', 'send everything a second time, and check that nothing changes', false)
  .addOption(
    new Option('--tiers <names>', 'tiers of the pre-check at both gateways: memory, redis, replica, comma separated')
      .default('')
      .conflicts(['url', 'keep']),
  )
  .option('--servers <count>', 'how many MySQL servers carry the 16 shards', wholeNumber(1), 4)
  .addOption(new Option('--data-dir <folder>', 'the folder of the servers').env('DATA_DIR').default('.local'))
  .option('--keep <name>', 'keep the data under this name for the next run', keptName)
  .addOption(
    new Option(
      '--url <urls>',
      'public listeners of running gateways, comma separated; tokens as in STOCKGATE_TOKENS',
    ).conflicts('keep'),
  )
  .addOption(
    new Option('--admin-url <url>', 'the admin listener of one of them; tokens as in STOCKGATE_ADMIN_TOKENS').conflicts(
      'keep',
    ),
  )
  .option('--shards <file>', 'with --url: lists its shards, so that the books are read from the databases')
  .parse();

interface Options {
  concurrency: number;
  carts?: number;
  speed: number;
  stockFactor: number;
  twice: boolean;
  servers: number;
  tiers: string;
  dataDir: string;
  keep?: string;
  url?: string;
  adminUrl?: string;
  shards?: string;
}
const options = program.opts<Options>();
if ((options.url === undefined) !== (options.adminUrl === undefined))
  program.error('error: --url and --admin-url must be given together');
if (options.shards !== undefined && options.url === undefined) program.error('error: --shards needs --url');

/** Faults beyond these are only counted. */
const FAULTS_SHOWN_MAX = 30;

const started: { stop(): Promise<unknown> }[] = [];

/** Last started, first stopped. */
async function stopAll(): Promise<void> {
  for (const part of started.splice(0).reverse()) await part.stop();
}

async function main(): Promise<void> {
  stopOnSignalOrParentExit(stopAll);
  const file = program.args[0] ?? '';
  const plan = firstCarts(planReplay(await readOrders(file), file), options.carts ?? Infinity);
  const opening = openingStockOf(plan, options.stockFactor);
  const target = await reach();
  const inspector = target.databases === null ? gatewayInspector(target) : databaseInspector(target.databases);
  console.error(`opening stock for ${opening.size} SKUs`);
  await openSkus(target, opening);

  const first = await sendAll('replaying', plan.events, target);
  const faults = [
    ...answerFaults(first.results, plan, opening),
    ...(await reconcile(target, inspector, plan, first.results, opening)),
  ];
  const passes = [first];
  if (options.twice) {
    const keys = keysOf(plan);
    const before = await inspector.sums(keys, [...opening.keys()]);
    const again = await sendAll('again', eventsToRepeat(first.results), target);
    passes.push(again);
    faults.push(...(await inspector.untilNoOpenCarts()), ...replayFaults(first.results, again.results));
    faults.push(...changes(before, await inspector.sums(keys, [...opening.keys()])));
  }
  await report(target, inspector, plan, passes, faults);
}

function reach(): Promise<Target> {
  const { url, adminUrl, shards, servers, tiers, dataDir, keep, concurrency } = options;
  if (url !== undefined && adminUrl !== undefined) return useTarget(url, adminUrl, shards, concurrency);
  return startTarget({
    servers,
    dataDirectory: dataDir,
    keep,
    concurrency,
    tiers,
    say: (line) => console.error(line),
    onStarted: (part) => started.push(part),
  });
}

async function sendAll(
  name: string,
  events: readonly ReplayEvent[],
  { client, gateways, tokens }: Target,
): Promise<Pass> {
  const sender = new Sender({ client, gateways, token: tokens.public });
  const progress = progressBar(name, events.length, 'carts and returns');
  const startedMs = performance.now();
  try {
    const results = await play(events, {
      sender,
      concurrency: options.concurrency,
      speed: options.speed,
      onAnswered: () => progress.add(1),
    });
    return { name, results, seconds: (performance.now() - startedMs) / 1_000, sender };
  } finally {
    progress.stop();
  }
}

/** @returns every contradiction between the answers and the stored rows */
async function reconcile(
  target: Target,
  inspector: StockInspector,
  plan: Plan,
  results: Results,
  opening: ReadonlyMap<string, number>,
): Promise<string[]> {
  const unsettled = await inspector.untilNoOpenCarts();
  const memory = expectedStateOf(results, opening);
  const flows = await inspector.flows(keysOf(plan));
  const faults = [...unsettled, ...expectedStateFaults(memory, flows, await readLeft(target, [...opening.keys()]))];
  const isOurs = options.url === undefined && options.keep === undefined;
  if (isOurs && flows.size !== memory.lineCount)
    faults.push(`${flows.size} flows are stored, the shop counts ${memory.lineCount} lines`);
  return faults;
}

function changes(before: readonly string[], after: readonly string[]): string[] {
  const known = new Set(before);
  const now = new Set(after);
  return [
    ...before.filter((line) => !now.has(line)).map((line) => `changed when everything was sent again; before: ${line}`),
    ...after.filter((line) => !known.has(line)).map((line) => `changed when everything was sent again; after: ${line}`),
  ];
}

async function report(
  target: Target,
  inspector: StockInspector,
  plan: Plan,
  passes: readonly Pass[],
  faults: string[],
): Promise<void> {
  const books = await inspector.books();
  console.log(`\n${target.product}, ${options.concurrency} clients, ${plan.rowCount} rows\n`);
  if (books !== null) printBooks(books);
  console.log(`final books: ${await digestOf(target, inspector, plan)} (equal for runs with equal results)`);
  printPasses(passes);
  books?.forEach(({ differences }, shard) => {
    for (const { sku_id, leaved, expected } of differences)
      faults.push(`shard ${shard}, ${sku_id}: ${leaved} left, the journal says ${expected}`);
  });
  for (const fault of faults.slice(0, FAULTS_SHOWN_MAX)) fail(`contradiction: ${fault}`);
  if (faults.length > FAULTS_SHOWN_MAX) fail(`and ${faults.length - FAULTS_SHOWN_MAX} more`);
  if (faults.length > 0) return;
  console.log('\nEvery cart is whole, and the books balance: every unit is sold, returned or still left.');
  if (options.twice) console.log('Sent again, everything was answered as the first time, and nothing changed.');
  if (books === null) console.log('The databases were not read (no --shards): all amounts were read from the gateway.');
}

/** A digest of the stored flows and the units left, independent of times. */
async function digestOf(target: Target, inspector: StockInspector, plan: Plan): Promise<string> {
  const keys = keysOf(plan);
  const flows = [...(await inspector.flows(keys))].map(([key, { order_id, quantity, returned, status }]) =>
    JSON.stringify([key, order_id, quantity, returned, status]),
  );
  const left = [...(await readLeft(target, [...new Set(keys.map(({ sku_id }) => sku_id))]))].map((cell) =>
    JSON.stringify(cell),
  );
  return createHash('sha256')
    .update([...flows, ...left].sort().join('\n'))
    .digest('hex')
    .slice(0, 16);
}

function keysOf({ events }: Plan): FlowKey[] {
  return events.flatMap((event) => (event.kind === 'cart' ? event.lines : []));
}

function decimal(text: string): number {
  if (!/^\d{1,9}(\.\d{1,9})?$/.test(text)) throw new InvalidArgumentError('It must be a number, 0 or more.');
  return Number(text);
}

function keptName(text: string): string {
  if (!/^[A-Za-z0-9_]{1,32}$/.test(text))
    throw new InvalidArgumentError('It must be 1 to 32 letters, digits or underscores.');
  return text;
}

main()
  .catch((error: unknown) => fail(errorText(error)))
  .finally(async () => {
    await stopAll();
    await exitAfterFlush();
  });
