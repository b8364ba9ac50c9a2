import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { removeAbandonedContainers } from './cluster/image.ts';
import { removeAbandoned } from './cluster/ownership.ts';
import { supervise } from './cluster/supervise.ts';
import type { Supervised } from './cluster/supervise.ts';
import { stopOnSignalOrParentExit } from './support/lifetime.ts';
import { projectPath } from '../src/projectPath.ts';
import { SUBJECTS } from './support/testFolders.ts';
import { canRepeat, closingLine, failedFiles, readSummary, SUMMARY_VARIABLE } from './support/testSummary.ts';
import type { TestSummary } from './support/testSummary.ts';
import { wholeNumber } from '../src/commands/support/wholeNumber.ts';

const program = new Command('npm test --')
  .description('Runs the tests against real servers, which this command starts and stops.')
  .option('--all', 'also the tests of whole systems: server sets, whole commands, restores; takes twice as long', false)
  .option('--long', 'all tests, also in their long forms; takes much longer', false)

  .option('--second-run', 'run the files with failed tests again, alone; only this second result counts', false)
  .option('--grep <text>', 'only the tests whose title contains this')
  .option(
    '--jobs <count>',
    'how many files are tested at a time, each with servers of its own ' +
      '(default: 2; 1 with --long or with STOCKGATE_MYSQL_SERVERS)',
    wholeNumber(1),
  )
  .argument('[files...]', 'only these test files')
  .parse();

/** Time to stop the servers of an interrupted run. */
const STOP_MS = 5_000;

const { all, long, secondRun, grep } = program.opts<{
  all: boolean;
  long: boolean;
  secondRun: boolean;
  grep?: string;
}>();
// The long forms compare rates, and named servers exist only once, so both use one job.
const isNamed = process.env['STOCKGATE_MYSQL_SERVERS'] !== undefined;
const jobs = program.opts<{ jobs?: number }>().jobs ?? (long || isNamed ? 1 : 2);
if (isNamed && jobs > 1)
  program.error('error: with STOCKGATE_MYSQL_SERVERS, --jobs must be 1: parallel jobs do not drop their schemas');
const files =
  program.args.length > 0
    ? program.args
    : [
        ...SUBJECTS.map((subject) => `test/${subject}/*.test.ts`),
        ...(all || long ? ['test/whole/*/*.test.ts'] : []),
        ...(long ? ['test/long/*.test.ts'] : []),
      ];

const runs = projectPath('.local/runs');
let running: Supervised | undefined;

/** Runs test files. @returns the exit code, and the results unless the run ended early */
async function run(testFiles: readonly string[], jobsOfRun: number): Promise<[number, TestSummary | null]> {
  const folder = mkdtempSync(join(tmpdir(), 'stockgate-tests-'));
  const summaryFile = join(folder, 'summary.json');
  running = supervise({
    command: process.execPath,
    arguments: [
      ...['--import', 'tsx', projectPath('node_modules/mocha/bin/mocha.js')],
      ...['--require', projectPath('test/support/run/setup.ts')],
      ...['--reporter', projectPath('test/support/run/reporter.ts')],
      ...['--timeout', long ? '600000' : '60000'],
      '--exit',
      ...(jobsOfRun > 1 ? ['--parallel', '--jobs', `${jobsOfRun}`] : []),
      ...(grep === undefined ? [] : ['--grep', grep]),
      ...testFiles,
    ],
    environment: { ...process.env, [SUMMARY_VARIABLE]: summaryFile, ...(long ? { STOCKGATE_TEST_LONG: '1' } : {}) },
    workingDirectory: projectPath('.'),
  });
  const { code } = await running.exited;
  const summary = readSummary(summaryFile);
  rmSync(folder, { recursive: true });
  // Servers of parallel jobs died with the processes of the jobs. Files that a server still writes are removed by the
  // next run. Containers did not die, so they are removed here.
  await removeAbandoned(runs).catch(() => undefined);
  if (process.env['STOCKGATE_MYSQL_IMAGE']) await removeAbandonedContainers().catch(() => undefined);
  return [code ?? 1, summary];
}

/** Runs the files with failed tests again, without other tests beside them. @returns the exit code and all results */
async function repeatFailed(summary: TestSummary): Promise<[number, TestSummary | null]> {
  const failed = failedFiles(summary);
  console.error(`\nFiles with failed tests are run a second time, alone: ${failed.join(' ')}`);
  const [code, second] = await run(failed, 1);
  if (second === null) return [code, null];
  for (const file of failed)
    if (second.get(file)?.failed === 0) console.error(`FLAKY: ${file} failed beside other tests and passed alone.`);
  const all = new Map([...summary, ...second]);
  // A file whose tests did not run again keeps its first result.
  return [failedFiles(all).length > 0 ? code || 1 : code, all];
}

stopOnSignalOrParentExit(async () => void (await running?.stop(STOP_MS)));
let [code, summary] = await run(files, program.args.length === 1 ? 1 : jobs);
if (secondRun && summary !== null && canRepeat(summary)) [code, summary] = await repeatFailed(summary);
if (summary !== null) console.log(closingLine(summary));
process.exit(code);
