import { Command } from 'commander';
import { removeAbandonedContainers } from './cluster/image.ts';
import { removeAbandoned } from './cluster/ownership.ts';
import { supervise } from './cluster/supervise.ts';
import { stopWithParent } from './support/lifetime.ts';
import { projectPath } from './support/paths.ts';
import { wholeNumber } from './support/wholeNumber.ts';

const program = new Command('npm test --')
  .description('Runs the tests against real servers, which it starts and stops itself.')
  .option('--all', 'those of whole systems too: sets of servers, whole commands, restores; takes twice as long', false)
  .option('--long', 'all of them, in their big forms too; takes much longer', false)
  .option('--grep <text>', 'only the tests whose title holds this')
  .option(
    '--jobs <count>',
    'how many files are tested at a time, each beside servers of its own (default: 2; 1 with --long or with servers of yours)',
    wholeNumber(1),
  )
  .argument('[files...]', 'only these test files')
  .parse();

/** For the servers of an interrupted run to be stopped. */
const STOP_MS = 5_000;

const { all, long, grep } = program.opts<{ all: boolean; long: boolean; grep?: string }>();
// The big forms compare rates, and servers of somebody's are there once.
const isTheirs = process.env['STOCKGATE_MYSQL_SERVERS'] !== undefined;
const jobs = program.opts<{ jobs?: number }>().jobs ?? (long || isTheirs ? 1 : 2);
if (isTheirs && jobs > 1)
  program.error('error: on servers of yours --jobs must be 1: who is one of several leaves its schemas behind');
// In this order: early refusals, which the last ones turn on, stay on for all who share their shards.
const files =
  program.args.length > 0
    ? program.args
    : ['test/*.test.ts', ...(all || long ? ['test/whole/*.test.ts'] : []), ...(long ? ['test/long/*.test.ts'] : [])];

const mocha = supervise({
  command: process.execPath,
  arguments: [
    ...['--import', 'tsx', projectPath('node_modules/mocha/bin/mocha.js')],
    ...['--require', projectPath('test/support/setup.ts')],
    ...['--reporter', projectPath('test/support/reporter.ts')],
    ...['--timeout', long ? '600000' : '60000'],
    '--exit',
    ...(jobs > 1 && program.args.length !== 1 ? ['--parallel', '--jobs', `${jobs}`] : []),
    ...(grep === undefined ? [] : ['--grep', grep]),
    ...files,
  ],
  environment: { ...process.env, ...(long ? { STOCKGATE_TEST_LONG: '1' } : {}) },
  workingDirectory: projectPath('.'),
});
stopWithParent(async () => void (await mocha.stop(STOP_MS)));
const { code } = await mocha.exited;
// Where there are several at a time, their servers died with their processes, and what one still writes is removed by the next run; their containers did not.
await removeAbandoned(projectPath('.local/runs')).catch(() => undefined);
if (process.env['STOCKGATE_MYSQL_IMAGE']) await removeAbandonedContainers().catch(() => undefined);
process.exit(code ?? 1);
