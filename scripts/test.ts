import { spawn } from 'node:child_process';
import { Command } from 'commander';
import { projectPath } from './support/paths.ts';

const program = new Command('npm test --')
  .description('Runs the tests against real servers, which it starts and stops itself.')
  .option('--long', 'the big forms too; takes much longer', false)
  .option('--grep <text>', 'only the tests whose title holds this')
  .argument('[files...]', 'only these test files')
  .parse();

const { long, grep } = program.opts<{ long: boolean; grep?: string }>();
const files = program.args.length > 0 ? program.args : ['test/*.test.ts', ...(long ? ['test/long/*.test.ts'] : [])];

const mocha = spawn(
  process.execPath,
  [
    ...['--import', 'tsx', projectPath('node_modules/mocha/bin/mocha.js')],
    ...['--require', projectPath('test/support/setup.ts')],
    ...['--reporter', projectPath('test/support/reporter.ts')],
    ...['--timeout', long ? '600000' : '60000'],
    '--exit',
    ...(grep === undefined ? [] : ['--grep', grep]),
    ...files,
  ],
  { cwd: projectPath('.'), stdio: 'inherit', env: { ...process.env, ...(long ? { STOCKGATE_TEST_LONG: '1' } : {}) } },
);
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => mocha.kill('SIGTERM'));
mocha.on('exit', (code) => process.exit(code ?? 1));
