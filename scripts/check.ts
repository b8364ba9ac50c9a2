import { spawnSync } from 'node:child_process';
import { Command } from 'commander';
import { fail } from './support/report.ts';
import { projectPath } from './support/paths.ts';

new Command('npm run check --')
  .description('Checks types, lint and the style of the code base. Needs no database.')
  .parse();

/** The arguments of Node.js for each check, in the folder of the checkout. */
const CHECKS: readonly { readonly name: string; readonly arguments: readonly string[] }[] = [
  { name: 'types', arguments: ['node_modules/typescript/bin/tsc', '--project', '.'] },
  { name: 'lint', arguments: ['node_modules/eslint/bin/eslint.js', '.', '--max-warnings', '0'] },
  {
    name: 'style',
    arguments: ['--import', 'tsx', 'node_modules/mocha/bin/mocha.js', '--reporter', 'dot', 'test/style.test.ts'],
  },
];

for (const { name, arguments: call } of CHECKS) {
  console.error(`checking ${name} …`);
  const { status } = spawnSync(process.execPath, call, { cwd: projectPath('.'), stdio: 'inherit' });
  if (status !== 0) fail(`${name}: failed`);
}
