import { Command, InvalidArgumentError, Option } from 'commander';
import { ARMS } from './bench/arms.ts';
import { GUARDED, MARGIN, readBaseline, regressions, writeBaseline } from './bench/baseline.ts';
import { comparisonsOf, runCount } from './bench/chains.ts';
import { reportOf, writeJson } from './bench/reportFile.ts';
import type { Report } from './bench/reportFile.ts';
import { measureAll } from './bench/rounds.ts';
import type { RoundsOptions } from './bench/rounds.ts';
import { printReport } from './bench/tables.ts';
import { startWorld } from './bench/world.ts';
import { stopWithParent } from './support/lifetime.ts';
import { progressBar } from './support/progress.ts';
import { fail } from './support/report.ts';
import { wholeNumber } from './support/wholeNumber.ts';

const program = new Command('npm run bench --')
  .description(
    'Measures the gateway against a bare Koa, the textbook gateway and Redis, on a durable MySQL server of its own; every ' +
      'run of an arm stands between two of its reference. Exit code 0 only if the books of every run are right.',
  )
  .option('--quick', `only CPU per request (${GUARDED.join(' and ')}), against the recorded baseline; under a minute`, false)
  .addOption(new Option('--record', 'with --quick: make what is measured the baseline').implies({ quick: true }))
  .option('--rounds <count>', 'rounds of each comparison', wholeNumber(1), 5)
  .option('--seconds <count>', 'length of each run', wholeNumber(1), 2)
  .option('--arms <names>', `only the comparisons among these and the echo, comma separated: ${ARMS.map(({ name }) => name).join(', ')}`, listOfArms)
  .option('--connections <counts>', 'comma separated', listOfCounts, [256, 1_024])
  .addOption(new Option('--data-dir <folder>', 'where the servers are kept').env('DATA_DIR').default('.local'))
  .option('--json <file>', 'where all that was measured is written', '.local/bench/latest.json')
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

const started: { stop(): Promise<unknown> }[] = [];

/** Last started, first stopped. */
async function stopAll(): Promise<void> {
  for (const part of started.splice(0).reverse()) await part.stop();
}

async function main(): Promise<void> {
  stopWithParent(stopAll);
  const plan = options.quick ? quickPlan() : fullPlan();
  const world = await startWorld(options.dataDir, (line) => console.error(line));
  started.push(world);
  const progress = progressBar('measuring', runCount(plan), 'runs');
  const measured = await measureAll(world, { ...plan, onRun: (note) => progress.add(1, note) }).finally(() => progress.stop());
  const report = reportOf(world, measured, { rounds: plan.rounds, seconds: plan.seconds, ids: options.quick ? GUARDED : null });
  writeJson(options.json, report);
  printReport(report);
  for (const fault of report.faults) fail(`void: ${fault}`);
  if (options.quick && report.faults.length === 0) guard(report);
}

type Plan = Omit<RoundsOptions, 'onRun'>;

function fullPlan(): Plan {
  const { connections, rounds, seconds, arms = null } = options;
  const comparisons = comparisonsOf(arms);
  if (comparisons.length === 0) program.error(`error: there is nothing to compare among ${arms?.join(', ')}`);
  return { comparisons, connections, rounds, seconds, warmUpSeconds: 2 };
}

/** Only what the guarded figures are made of. */
function quickPlan(): Plan {
  const comparisons = comparisonsOf(['hot']).filter(({ reference, pressure }) => reference === 'echo' && pressure === 'all_out');
  return { comparisons, connections: [1_024], rounds: 3, seconds: 2, warmUpSeconds: 2 };
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
  const unknown = names.filter((name) => !ARMS.some((arm) => arm.name === name));
  if (unknown.length > 0) throw new InvalidArgumentError(`There is no ${unknown.join(', ')}.`);
  return names;
}

function listOfCounts(text: string): number[] {
  return text.split(',').map(wholeNumber(1));
}

main()
  .catch((error: unknown) => fail(error instanceof Error ? error.message : String(error)))
  .finally(async () => {
    await stopAll();
    process.exit();
  });
