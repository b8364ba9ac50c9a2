import { Command } from 'commander';
import { supervise } from './cluster/supervise.ts';
import { stopWithParent } from './support/lifetime.ts';
import { projectPath } from './support/paths.ts';

const program = new Command('npm test --')
  .description('Runs the tests against real servers, which it starts and stops itself.')
  .option('--long', 'the big forms too; takes much longer', false)
  .option('--grep <text>', 'only the tests whose title holds this')
  .argument('[files...]', 'only these test files')
  .parse();

/** For the servers of an interrupted run to be stopped. */
const STOP_MS = 5_000;

const { long, grep } = program.opts<{ long: boolean; grep?: string }>();
const files = program.args.length > 0 ? program.args : ['test/*.test.ts', ...(long ? ['test/long/*.test.ts'] : [])];

const mocha = supervise({
  command: process.execPath,
  arguments: [
    ...['--import', 'tsx', projectPath('node_modules/mocha/bin/mocha.js')],
    ...['--require', projectPath('test/support/setup.ts')],
    ...['--reporter', projectPath('test/support/reporter.ts')],
    ...['--timeout', long ? '600000' : '60000'],
    '--exit',
    ...(grep === undefined ? [] : ['--grep', grep]),
    ...files,
  ],
  environment: { ...process.env, ...(long ? { STOCKGATE_TEST_LONG: '1' } : {}) },
  workingDirectory: projectPath('.'),
});
stopWithParent(async () => void (await mocha.stop(STOP_MS)));
const { code } = await mocha.exited;
process.exit(code ?? 1);
