import { Command, Option } from 'commander';
import { cartsOfDay, openingStock } from './demo/day.ts';
import { contradictions } from './demo/shopRecord.ts';
import type { UnitsLeft } from './demo/shopRecord.ts';
import { sellAll } from './demo/shops.ts';
import { printDay } from './demo/tables.ts';
import { Sender } from './replay/sender.ts';
import { readStoredFlows, waitForNoHolds } from './replay/shardTables.ts';
import { readBooks } from './support/books.ts';
import { startGatewayProcess } from './support/gatewayProcess.ts';
import { httpClient } from './support/httpClient.ts';
import type { HttpClient } from './support/httpClient.ts';
import { inParallel } from './support/inParallel.ts';
import { stopOnSignalOrParentExit } from './support/lifetime.ts';
import { progressBar } from '../src/commands/support/progress.ts';
import { exitAfterFlush, fail } from '../src/commands/support/report.ts';
import { startStack } from './support/stack.ts';
import { wholeNumber } from '../src/commands/support/wholeNumber.ts';
import { errorText } from '../src/core/text/errorText.ts';

const program = new Command('npm run demo --')
  .description(
    'Sends a day of real orders, each as a whole cart, from many clients at once through two gateways to 16 MySQL ' +
      'shards, until popular goods sell out. Ends with the proof that every cart was sold whole or not at all, and ' +
      'that units sold and units left add up. Exit code 0 only if they do.',
  )
  .addOption(new Option('--data-dir <folder>', 'the folder of the servers').env('DATA_DIR').default('.local'))
  .option('--copies <count>', 'how many shops have this day at once', wholeNumber(1), 40)
  .option('--clients <count>', 'the number of concurrent requests', wholeNumber(1), 64)
  .option('--servers <count>', 'how many MySQL servers carry the 16 shards', wholeNumber(1), 4)
  .parse();

const options = program.opts<{ dataDir: string; copies: number; clients: number; servers: number }>();
const GATEWAYS = 2;
const POPULAR = { popularCount: 20, popularShare: 0.6 };
const REPLAY_EVERY = 10;
const SETTLE_MS = 20_000;

const started: { stop(): Promise<unknown> }[] = [];

/** Last started, first stopped. */
async function stopAll(): Promise<void> {
  for (const part of started.splice(0).reverse()) await part.stop();
}

async function main(): Promise<void> {
  stopOnSignalOrParentExit(stopAll);
  const say = (line: string): void => console.error(line);
  const stack = await startStack({ servers: options.servers, dataDirectory: options.dataDir, onProgress: say });
  started.push(stack);
  say(`starting ${GATEWAYS} gateways`);
  const gateways = await Promise.all(
    Array.from({ length: GATEWAYS }, () =>
      startGatewayProcess({ ...stack.environment, PORT: '0', ADMIN_PORT: '0', STOCKGATE_LOG_LEVEL: 'error' }),
    ),
  );
  started.push(...gateways);
  const client = httpClient(options.clients);
  started.push({ stop: () => Promise.resolve(client.close()) });

  const carts = await cartsOfDay(options.copies);
  const opening = openingStock(carts, POPULAR);
  say(`opening stock for ${opening.size} SKUs`);
  await openSkus(new Sender({ client, gateways: gateways.map(({ adminUrl }) => adminUrl) }), opening);

  const sender = new Sender({ client, gateways: gateways.map(({ publicUrl }) => publicUrl) });
  const progress = progressBar('selling', carts.length, 'carts');
  const startedMs = performance.now();
  const ledger = await sellAll(carts, {
    sender,
    concurrency: options.clients,
    replayEvery: REPLAY_EVERY,
    onAnswered: () => progress.add(1),
  });
  const seconds = (performance.now() - startedMs) / 1_000;
  progress.stop();

  const held = await waitForNoHolds(stack.shards, SETTLE_MS);
  if (held > 0) fail(`${held} holds and open carts remain after ${SETTLE_MS / 1_000} s`);
  const leftovers = await readLeftovers(client, gateways[0]?.publicUrl ?? '', [...opening.keys()]);
  const [books, flows] = await Promise.all([readBooks(stack), readStoredFlows(stack.shards)]);
  const faults = contradictions(ledger, { opening, leftovers, books, flows });
  console.log(`\n${stack.cluster.product}, ${GATEWAYS} gateways, ${options.clients} clients\n`);
  const retryCount = [...sender.retryReasons.values()].reduce((sum, count) => sum + count, 0);
  printDay({ carts, ledger, retryCount, seconds, leftovers }, books);
  for (const fault of faults) fail(`does not balance: ${fault}`);
  if (faults.length === 0 && held === 0) {
    console.log(
      '\nThe books balance: every cart was sold whole or not at all, every unit is sold once or still left, ' +
        'and no available unit was refused.',
    );
  }
}

async function openSkus(sender: Sender, opening: ReadonlyMap<string, number>): Promise<void> {
  await inParallel([...opening], 16, async ([sku_id, leaved_amount]) => {
    const path = `/v1/skus/${encodeURIComponent(sku_id)}`;
    const { status, text } = await sender.untilFinalAnswer(
      { method: 'PUT', path, body: { leaved_amount }, what: `opening ${sku_id}` },
      0,
    );
    if (status !== 201 && status !== 200) throw new Error(`opening ${sku_id}: ${status} ${text}`);
  });
}

async function readLeftovers(client: HttpClient, publicUrl: string, sku_ids: readonly string[]): Promise<UnitsLeft> {
  const left = new Map<string, number>();
  await inParallel(sku_ids, 16, async (sku_id) => {
    const { body } = await client.call({ method: 'GET', url: `${publicUrl}/v1/skus/${encodeURIComponent(sku_id)}` });
    left.set(sku_id, Number(body?.leaved_amount));
  });
  return left;
}

main()
  .catch((error: unknown) => fail(errorText(error)))
  .finally(async () => {
    await stopAll();
    await exitAfterFlush();
  });
