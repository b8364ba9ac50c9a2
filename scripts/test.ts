import { Command } from 'commander';
import { removeAbandonedContainers } from './cluster/image.ts';
import { removeAbandoned } from './cluster/ownership.ts';
import { supervise } from './cluster/supervise.ts';
import { stopOnSignalOrParentExit } from './support/lifetime.ts';
import { projectPath } from '../src/projectPath.ts';
import { SUBJECTS } from './support/testFolders.ts';
import { wholeNumber } from '../src/commands/support/wholeNumber.ts';

const program = new Command('npm test --')
  .description('Runs the tests against real servers, which this command starts and stops.')
  .option('--all', 'also the tests of whole systems: server sets, whole commands, restores; takes twice as long', false)
  .option('--long', 'all tests, also in their long forms; takes much longer', false)
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

const { all, long, grep } = program.opts<{ all: boolean; long: boolean; grep?: string }>();
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

const mocha = supervise({
  command: process.execPath,
  arguments: [
    ...['--import', 'tsx', projectPath('node_modules/mocha/bin/mocha.js')],
    ...['--require', projectPath('test/support/run/setup.ts')],
    ...['--reporter', projectPath('test/support/run/reporter.ts')],
    ...['--timeout', long ? '600000' : '60000'],
    '--exit',
    ...(jobs > 1 && program.args.length !== 1 ? ['--parallel', '--jobs', `${jobs}`] : []),
    ...(grep === undefined ? [] : ['--grep', grep]),
    ...files,
  ],
  environment: { ...process.env, ...(long ? { STOCKGATE_TEST_LONG: '1' } : {}) },
  workingDirectory: projectPath('.'),
});
stopOnSignalOrParentExit(async () => void (await mocha.stop(STOP_MS)));
const { code } = await mocha.exited;
// Servers of parallel jobs died with the processes of the jobs. Files that a server still writes are removed by the
// next run. Containers did not die, so they are removed here.
await removeAbandoned(projectPath('.local/runs')).catch(() => undefined);
if (process.env['STOCKGATE_MYSQL_IMAGE']) await removeAbandonedContainers().catch(() => undefined);
process.exit(code ?? 1);
