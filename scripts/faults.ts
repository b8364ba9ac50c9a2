import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { abortedAreDeleted } from '../test/proof/abortedRecords.ts';
import { canBegin, BENCH_FAULTS } from '../test/proof/faults.ts';
import { runRound } from '../test/proof/round.ts';
import type { RoundResult } from '../test/proof/round.ts';
import { startProofWorld } from '../test/proof/world.ts';
import type { ProofWorld } from '../test/proof/world.ts';
import { ENGINE_NAMES } from '../test/support/engines/engines.ts';
import type { EngineName } from '../test/support/engines/engines.ts';
import { stopOnSignalOrParentExit } from './support/lifetime.ts';
import { progressBar } from '../src/commands/support/progress.ts';
import { exitAfterFlush, fail, printTable } from '../src/commands/support/report.ts';
import { startStack } from './support/stack.ts';
import { enablePrecheckNow, startOwnRedis } from './support/tiers.ts';
import { wholeNumber } from '../src/commands/support/wholeNumber.ts';

/** The values of `--engine`: one engine for all gateways, or all engines in turn. */
const ENGINES: Readonly<Record<string, readonly EngineName[]>> = {
  ...Object.fromEntries(ENGINE_NAMES.map((name) => [name, [name]])),
  each: ENGINE_NAMES,
};
const KINDS = [...BENCH_FAULTS.map(({ kind }) => kind), 'mix'];

const program = new Command('npm run test:faults --')
  .description(
    'Breaks real servers, gateways and wires under traffic, repairs them, and compares the answers of the clients ' +
      'with the rows in the databases. Exit code 0 only if every round is content.',
  )
  .addOption(new Option('--data-dir <folder>', 'the folder of the servers').env('DATA_DIR').default('.local'))
  .option('--rounds <count>', 'rounds of each kind', wholeNumber(1), 1)
  .option('--seed <number>', 'the seed of the first round; each further round has the next number', wholeNumber(0), 1)
  .option('--kinds <names>', `comma separated: ${KINDS.join(', ')}`, KINDS.join(','))
  .option('--traffic <seconds>', 'how long each round sends traffic and breaks things', wholeNumber(1), 5)
  .option('--clients <count>', 'the number of concurrent clients', wholeNumber(1), 24)
  .option('--gateways <count>', 'how many gateways serve', wholeNumber(1), 2)
  .option('--servers <count>', 'how many database servers', wholeNumber(1), 4)
  .option('--carts <percent>', 'orders of several SKUs, in percent of the traffic.', wholeNumber(0), 50)
  .addOption(
    new Option('--engine <name>', 'of all gateways, or `each` in turn; absent: the default').choices(
      Object.keys(ENGINES),
    ),
  )
  .option('--tiers <names>', 'the tiers of the pre-check at all gateways: memory, redis, replica, comma separated', '')
  .option('--keep <folder>', 'the folder for the history and the end of each failed round, as JSON')
  .parse();

const options = program.opts<{
  dataDir: string;
  rounds: number;
  seed: number;
  kinds: string;
  traffic: number;
  clients: number;
  gateways: number;
  servers: number;
  carts: number;
  tiers: string;
  engine?: string;
  keep?: string;
}>();
const started: { stop(): Promise<unknown> }[] = [];

/** Last started, first stopped. */
async function stopAll(): Promise<void> {
  for (const part of started.splice(0).reverse()) await part.stop();
}

async function main(): Promise<void> {
  stopOnSignalOrParentExit(stopAll);
  if (options.keep !== undefined) mkdirSync(options.keep, { recursive: true });
  const kinds = options.kinds.split(',').map((kind) => kind.trim());
  const unknown = kinds.filter((kind) => !KINDS.includes(kind));
  if (unknown.length > 0) throw new Error(`no kind is called ${unknown.join(', ')}; there are ${KINDS.join(', ')}`);
  const { tiers } = options;
  const say = (line: string): void => console.error(line);
  const stack = await startStack({
    servers: options.servers,
    dataDirectory: options.dataDir,
    onProgress: say,
    ...(tiers.includes('replica') ? { replicas: 1 } : {}),
  });
  started.push(stack);
  const redis = tiers.includes('redis') ? await startOwnRedis(options.dataDir, say) : null;
  if (redis !== null) started.push(redis);
  if (tiers !== '') await enablePrecheckNow(stack);
  const world = await startProofWorld(stack, options.gateways, ENGINES[options.engine ?? ''] ?? [], { tiers, redis });
  started.push(world);
  const product = stack.cluster.product;
  const fitting = kinds.filter((kind) => BENCH_FAULTS.every((fault) => fault.kind !== kind || canBegin(fault, world)));
  if (fitting.length === 0) throw new Error(`no round was run: ${product} has no fault of kind ${kinds.join(', ')}`);

  const results = await runRounds(world, fitting);
  console.log(
    `\n${product}, ${options.servers} servers, ${options.gateways} gateways ` +
      `(engine: ${options.engine ?? 'the default'}), ${options.clients} clients, ${options.traffic} s a round, ` +
      `${options.carts} % orders of several SKUs, tiers: ${tiers || 'none'}, seeds from ${options.seed}\n`,
  );
  printTable(
    ['kind', 'rounds', 'operations', 'carts', 'not sent', 'unknowns', 'resolved p99', 'verdict'],
    fitting.map((kind) => rowOf(kind, results)),
  );
  for (const result of results.filter(({ verdict }) => verdict !== 'content')) reportFailure(result);
  const left = await abortedAreDeleted(world);
  if (left.length > 0)
    fail(`\nafter the last round: ${left.map(({ invariant, what }) => `${invariant} ${what}`).join('\n  ')}`);
}

async function runRounds(world: ProofWorld, kinds: readonly string[]): Promise<RoundResult[]> {
  const progress = progressBar('breaking', kinds.length * options.rounds, 'rounds');
  const results: RoundResult[] = [];
  for (const kind of kinds) {
    for (let round = 0; round < options.rounds; round += 1) {
      const seed = options.seed + round;
      const result = await runRound(world, {
        kind,
        seed,
        trafficMs: options.traffic * 1_000,
        clients: options.clients,
        cartShare: options.carts / 100,
      });
      results.push(result);
      keepEvidence(result);
      progress.add(1, kind);
    }
  }
  progress.stop();
  return results;
}

/** Writes the evidence of a failed round at once, so that it exists even when the run is ended early. */
function keepEvidence({ kind, seed, verdict, violations, evidence }: RoundResult): void {
  if (options.keep === undefined || verdict === 'content') return;
  writeFileSync(join(options.keep, `${kind}-${seed}.json`), JSON.stringify({ violations, ...evidence }, null, 1));
}

function rowOf(kind: string, all: readonly RoundResult[]): (string | number)[] {
  const results = all.filter((result) => result.kind === kind);
  const sum = (count: (result: RoundResult) => number): number =>
    results.reduce((total, result) => total + count(result), 0);
  const resolved = results.flatMap(({ resolveMs }) => resolveMs).sort((a, b) => a - b);
  const p99 = resolved[Math.floor(resolved.length * 0.99)];
  const bad = results.filter(({ verdict }) => verdict !== 'content').length;
  return [
    kind,
    results.length,
    sum(({ operations }) => operations),
    sum(({ carts }) => carts),
    sum(({ notSent }) => notSent),
    sum(({ unknowns }) => unknowns),
    p99 === undefined ? '-' : `${Math.round(p99)} ms`,
    bad === 0 ? 'content' : `${bad} FAILED`,
  ];
}

function reportFailure({ kind, seed, verdict, violations }: RoundResult): void {
  fail(`\n${kind}, seed ${seed}: ${verdict}`);
  for (const { invariant, what } of violations.slice(0, 20)) console.error(`  ${invariant} ${what}`);
  if (violations.length > 20) console.error(`  and ${violations.length - 20} more`);
  const { traffic, clients, gateways, servers, carts, engine, tiers } = options;
  const more = `${engine === undefined ? '' : ` --engine ${engine}`}${tiers === '' ? '' : ` --tiers ${tiers}`}`;
  console.error(
    `  again: npm run test:faults -- --kinds ${kind} --seed ${seed} --traffic ${traffic} --clients ${clients} ` +
      `--gateways ${gateways} --servers ${servers} --carts ${carts}${more}`,
  );
}

main()
  .catch((error: unknown) => fail(error instanceof Error ? (error.stack ?? error.message) : String(error)))
  .finally(async () => {
    await stopAll();
    await exitAfterFlush();
  });
