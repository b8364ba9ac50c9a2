import { cpSync, existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { Command } from 'commander';
import { ownPath } from './cluster/ownership.ts';
import { bundle } from './support/bundle.ts';
import { projectPath } from './support/paths.ts';
import { progressBar } from './support/progress.ts';
import { fail } from './support/report.ts';

const program = new Command('npm run build --')
  .description(
    'Puts the gateway and the commands of operators into files that need Node.js and nothing else: main.mjs, migrate.mjs, reconcile.mjs, ' +
      'import-stock.mjs, with what they read beside them. `migrate.mjs up` and shards files in TypeScript need a Node.js that takes types out by itself, from 22.18 on.',
  )
  .option('--to <folder>', 'where; what is there goes', 'dist')
  .allowExcessArguments(false)
  .parse();

const ENTRIES = { main: 'src/main.ts', migrate: 'scripts/migrate.ts', reconcile: 'scripts/reconcile.ts', 'import-stock': 'scripts/import-stock.ts' };
/** In one word it would be replaced when this file itself is bundled. */
const OWN_URL = ['import', 'meta', 'url'].join('.');
/** Says that a folder is a build. */
const MARK = '.built';
/** Read at run time. */
const BESIDE = ['migrations', 'src/redis/lua'];

async function main(folder: string): Promise<void> {
  if (existsSync(folder) && readdirSync(folder).length > 0 && !existsSync(join(folder, MARK))) throw new Error(`${folder} is not empty, and not of an earlier build`);
  const unfinished = ownPath(folder);
  const progress = progressBar('building', Object.keys(ENTRIES).length, 'files');
  // The folder is laid out like the checkout, so each file finds what lies beside its source.
  const besideOutput = (path: string): string => `new URL(${JSON.stringify(relative(projectPath('.'), path))}, ${OWN_URL}).href`;
  try {
    for (const [name, entry] of Object.entries(ENTRIES)) {
      await bundle(entry, join(unfinished, `${name}.mjs`), besideOutput);
      progress.add(1, name);
    }
  } finally {
    progress.stop();
  }
  for (const part of BESIDE) cpSync(projectPath(part), join(unfinished, part), { recursive: true });
  writeFileSync(join(unfinished, MARK), '');
  // The earlier one is there until the new one is whole.
  rmSync(folder, { recursive: true, force: true });
  renameSync(unfinished, folder);
  console.log(`built into ${folder}`);
}

main(resolve(program.opts<{ to: string }>().to)).catch((error: unknown) => fail(error instanceof Error ? error.message : String(error)));
