import { Command, InvalidArgumentError, Option } from 'commander';
import { ARMS, SCALING } from './bench/arms.ts';
import type { WorldName } from './bench/arms.ts';
import { GUARDED, MARGIN, readBaseline, regressions, writeBaseline } from './bench/report/baseline.ts';
import { comparisonsOf, runCount } from './bench/chains.ts';
import { reportOf, writeJson } from './bench/report/reportFile.ts';
import type { Report } from './bench/report/reportFile.ts';
import { measureAll } from './bench/rounds.ts';
import type { Measured, RoundsOptions } from './bench/rounds.ts';
import { measureScaling, scalingRunCount } from './bench/scaling/rounds.ts';
import type { Scaled } from './bench/scaling/rounds.ts';
import { RUN_LENGTH_FACTOR, SLOW_COMMITS } from './bench/scaling/setting.ts';
import { printReport } from './bench/report/tables.ts';
import { startBenchWorld, WORLDS } from './bench/world.ts';
import type { BenchWorld, Setting } from './bench/world.ts';
import { stopOnSignalOrParentExit } from './support/lifetime.ts';
import { progressBar } from '../src/commands/support/progress.ts';
import { exitAfterFlush, fail } from '../src/commands/support/report.ts';
import { wholeNumber } from '../src/commands/support/wholeNumber.ts';
import { errorText } from '../src/core/text/errorText.ts';

const ARM_NAMES = [...ARMS, SCALING].map(({ name }) => name);

const program = new Command('npm run bench --')
  .description(
    'Measures the gateway against a bare Koa, the textbook gateway and Redis, on a durable MySQL server of its own. ' +
      'Every run of an arm lies between two runs of its reference. The arms carts_4… have four servers. ' +
      'The arm scaling has sixteen with slow commits, and is compared with itself on one sub-row. ' +
      '--quick leaves out both. ' +
      'Exit code 0 only if the books of every run are right.',
  )
  .option(
    '--quick',
    `only CPU per request (${GUARDED.join(' and ')}), against the recorded baseline; under a minute`,
    false,
  )
  .addOption(new Option('--record', 'with --quick: record the figures as the baseline').implies({ quick: true }))
  .option('--rounds <count>', 'rounds of each comparison', wholeNumber(1), 5)
  .option(
    '--seconds <count>',
    `length of each run; of ${SCALING.name} ${RUN_LENGTH_FACTOR} times that`,
    wholeNumber(1),
    2,
  )
  .option(
    '--arms <names>',
    `only the comparisons among these and the echo, comma separated: ${ARM_NAMES.join(', ')}`,
    listOfArms,
  )
  .option('--connections <counts>', 'comma separated; scaling has its own', listOfCounts, [256, 1_024])
  .addOption(new Option('--data-dir <folder>', 'where the servers are kept').env('DATA_DIR').default('.local'))
  .option('--json <file>', 'the file for all measurements', '.local/bench/latest.json')
  .parse();

interface Options {
  quick: boolean;
  record?: true;
  rounds: number;
  seconds: number;
  arms?: string[];
  connections: number[];
  dataDir: string;
  json: string;
}
const options = program.opts<Options>();

function say(line: string): void {
  console.error(line);
}

const started: { stop(): Promise<unknown> }[] = [];

/** Last started, first stopped. */
async function stopAll(): Promise<void> {
  for (const part of started.splice(0).reverse()) await part.stop();
}

async function main(): Promise<void> {
  stopOnSignalOrParentExit(stopAll);
  const plan = options.quick ? quickPlan() : fullPlan();
  const compared = await compareAll(plan);
  const scaled = plan.scales ? await scale(plan) : null;
  const world = compared[0]?.world ?? scaled?.world;
  if (world === undefined) return fail('nothing was measured');
  const measured = compared.length > 0 ? together(compared.map((each) => each.measured)) : null;
  const findings = { measured, scaled: scaled?.scaled ?? null };
  const report = reportOf(world, findings, {
    rounds: plan.rounds,
    seconds: plan.seconds,
    ids: options.quick ? GUARDED : null,
  });
  writeJson(options.json, report);
  printReport(report);
  for (const fault of report.faults) fail(`void: ${fault}`);
  if (options.quick && report.faults.length === 0) guard(report);
}

interface Plan extends Omit<RoundsOptions, 'onRun'> {
  readonly scales: boolean;
}

interface Compared {
  readonly world: BenchWorld;
  readonly measured: Measured;
}

/** Makes the comparisons of one world after the other. */
async function compareAll(plan: Plan): Promise<Compared[]> {
  const compared: Compared[] = [];
  for (const name of Object.keys(WORLDS) as WorldName[]) {
    const comparisons = plan.comparisons.filter(({ world = 'one_server' }) => world === name);
    const found = comparisons.length > 0 ? await compare({ ...plan, comparisons }, name) : null;
    if (found !== null) compared.push(found);
  }
  return compared;
}

async function compare(plan: Plan, name: WorldName): Promise<Compared | null> {
  const world = await startWorld(WORLDS[name], name, name !== 'one_server');
  if (world === null) return null;
  const progress = progressBar('measuring', runCount(plan), 'runs');
  const measured = await measureAll(world, { ...plan, onRun: (note) => progress.add(1, note) }).finally(() =>
    progress.stop(),
  );
  await stopAll();
  return { world, measured };
}

function together(parts: readonly Measured[]): Measured {
  return {
    pairs: parts.flatMap(({ pairs }) => pairs),
    runs: parts.flatMap(({ runs }) => runs),
    pools: Object.assign({}, ...parts.map(({ pools }) => pools)) as Measured['pools'],
  };
}

/** @returns null, after a message, where an optional world cannot be had and --arms is absent */
async function startWorld(setting: Setting, name: string, isOptional: boolean): Promise<BenchWorld | null> {
  try {
    const world = await startBenchWorld(options.dataDir, say, setting);
    started.push(world);
    return world;
  } catch (error) {
    if (!isOptional || options.arms !== undefined) throw error;
    say(`no ${name}: ${String(error)}`);
    return null;
  }
}

async function scale(plan: Plan): Promise<{ world: BenchWorld; scaled: Scaled } | null> {
  const world = await startWorld(SLOW_COMMITS, SCALING.name, true);
  if (world === null) return null;
  const progress = progressBar('scaling', scalingRunCount(plan.rounds), 'runs');
  // An error here must not discard the earlier measurements, so it becomes a fault of the report.
  const scaled = await measureScaling(world, { ...plan, onRun: (note) => progress.add(1, note) })
    .catch((error: unknown): Scaled => ({ runs: [], faults: [`${SCALING.name}: ${String(error)}`] }))
    .finally(() => progress.stop());
  await stopAll();
  return { world, scaled };
}

function fullPlan(): Plan {
  const { connections, rounds, seconds, arms = null } = options;
  const comparisons = comparisonsOf(arms);
  const scales = arms === null || arms.includes(SCALING.name);
  if (comparisons.length === 0 && !scales)
    program.error(`error: there is nothing to compare among ${arms?.join(', ')}`);
  return { comparisons, scales, connections, rounds, seconds, warmUpSeconds: 2 };
}

/** Only the comparisons of the guarded figures. */
function quickPlan(): Plan {
  const comparisons = comparisonsOf(['hot']).filter(
    ({ reference, pressure }) => reference === 'echo' && pressure === 'all_out',
  );
  return { comparisons, scales: false, connections: [1_024], rounds: 3, seconds: 2, warmUpSeconds: 2 };
}

function guard(report: Report): void {
  if (options.record === true) {
    writeBaseline(report);
    console.log('recorded as the baseline');
    return;
  }
  const baseline = readBaseline();
  if (baseline === null) return fail('there is no baseline to compare with; record one with --record');
  const worse = regressions(report.figures, baseline);
  for (const sentence of worse) fail(`worse than before: ${sentence}`);
  if (worse.length === 0) console.log(`no more than ${MARGIN * 100} % above the baseline of ${baseline.commit}`);
}

function listOfArms(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  const unknown = names.filter((name) => !ARM_NAMES.includes(name));
  if (unknown.length > 0) throw new InvalidArgumentError(`There is no ${unknown.join(', ')}.`);
  return names;
}

function listOfCounts(text: string): number[] {
  return text.split(',').map(wholeNumber(1));
}

main()
  .catch((error: unknown) => fail(errorText(error)))
  .finally(async () => {
    await stopAll();
    await exitAfterFlush();
  });
