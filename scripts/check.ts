import { spawnSync } from 'node:child_process';
import { Command } from 'commander';
import { fail } from '../src/commands/support/report.ts';
import { projectPath } from '../src/projectPath.ts';

new Command('npm run check --')
  .description('Checks types, format, imports, spelling, lint and the style of the code base. Needs no database.')
  .parse();

const BIN = 'node_modules';
/** The arguments of Node.js for each check, in the folder of the checkout. */
const CHECKS: readonly { readonly name: string; readonly arguments: readonly string[] }[] = [
  { name: 'types', arguments: [`${BIN}/typescript/bin/tsc`, '--project', '.'] },
  { name: 'format', arguments: [`${BIN}/prettier/bin/prettier.cjs`, '--check', '--log-level', 'warn', '.'] },
  {
    name: 'imports',
    arguments: [
      ...[`${BIN}/dependency-cruiser/bin/dependency-cruise.mjs`, '--config', '.dependency-cruiser.mjs'],
      ...['src', 'scripts', 'test', 'shards.config.ts'],
    ],
  },
  { name: 'spelling', arguments: [`${BIN}/cspell/bin.mjs`, 'lint', '--no-progress', '--quiet', '**'] },
  { name: 'lint', arguments: [`${BIN}/eslint/bin/eslint.js`, '.', '--max-warnings', '0'] },
  {
    name: 'style',
    arguments: ['--import', 'tsx', `${BIN}/mocha/bin/mocha.js`, '--reporter', 'dot', 'test/project/style.test.ts'],
  },
];

for (const { name, arguments: call } of CHECKS) {
  console.error(`checking ${name} …`);
  const { status } = spawnSync(process.execPath, call, { cwd: projectPath('.'), stdio: 'inherit' });
  if (status !== 0) fail(`${name}: failed`);
}
