import { cpSync, existsSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { Command } from 'commander';
import { isAbandoned, ownPath } from './cluster/ownership.ts';
import { bundle } from './support/bundle.ts';
import type { UrlExpression } from './support/bundle.ts';
import { projectPath } from '../src/projectPath.ts';
import { progressBar } from '../src/commands/support/progress.ts';
import { fail } from '../src/commands/support/report.ts';
import { errorText } from '../src/core/text/errorText.ts';
import { PAGE_FILES, PAGE_LICENCES } from '../src/http/page/pageFiles.ts';

const program = new Command('npm run build --')
  .description(
    'Bundles the gateway and the commands of operators into files that need only Node.js: main.mjs, migrate.mjs, ' +
      'reconcile.mjs, import-stock.mjs, and the files that they read. ' +
      'Only a shards file in TypeScript needs a Node.js that strips types by itself, from 22.18 on.',
  )
  .option('--to <folder>', 'the output folder; an earlier build there is replaced', 'dist')
  .allowExcessArguments(false)
  .parse();

const ENTRIES = {
  main: 'src/main.ts',
  migrate: 'src/commands/migrate.ts',
  reconcile: 'src/commands/reconcile.ts',
  'import-stock': 'src/commands/import-stock.ts',
};
/** Joined from parts, because the whole text would be replaced when this file itself is bundled. */
const OWN_URL = ['import', 'meta', 'url'].join('.');
/** The file that marks a folder as a build. */
const MARK = '.built';
/** Folders and files that are read at run time, unchanged, and the licences of those that come from packages. */
const BESIDE = ['src/redis/lua', ...PAGE_FILES.map(({ file }) => file), ...PAGE_LICENCES];
/** Loaded at run time. Compiled like the entries, because not every Node.js strips types. */
const MIGRATIONS = 'migrations';

async function main(folder: string): Promise<void> {
  if (existsSync(folder) && readdirSync(folder).length > 0 && !existsSync(join(folder, MARK)))
    throw new Error(`${folder} is not empty, and not an earlier build: empty it, or name another folder in --to`);
  removeAbandonedOf(folder);
  const unfinished = ownPath(folder);
  try {
    await fill(unfinished);
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true });
    throw error;
  }
  // The earlier build stays until the new one is complete.
  rmSync(folder, { recursive: true, force: true });
  renameSync(unfinished, folder);
  console.log(`built into ${folder}`);
}

/** Removes the unfinished folders of killed builds beside this folder. */
function removeAbandonedOf(folder: string): void {
  const parent = dirname(folder);
  if (!existsSync(parent)) return;
  const left = readdirSync(parent).filter((name) => name.startsWith(`${basename(folder)}~`) && isAbandoned(name));
  for (const name of left) rmSync(join(parent, name), { recursive: true, force: true });
}

async function fill(folder: string): Promise<void> {
  const migrations = readdirSync(projectPath(MIGRATIONS)).filter((file) => file.endsWith('.ts'));
  const files = [
    ...Object.entries(ENTRIES).map(([name, entry]) => [`${name}.mjs`, entry] as const),
    ...migrations.map((file) => [`${MIGRATIONS}/${file.replace(/\.ts$/, '.mjs')}`, `${MIGRATIONS}/${file}`] as const),
  ];
  const progress = progressBar('building', files.length, 'files');
  // The folder has the structure of the checkout, so each file finds the files beside its source.
  const besideOutput =
    (file: string): UrlExpression =>
    (path) =>
      `new URL(${JSON.stringify(relative(projectPath(dirname(file)), path))}, ${OWN_URL}).href`;
  try {
    for (const [file, entry] of files) {
      await bundle(entry, join(folder, file), besideOutput(file));
      progress.add(1, file);
    }
  } finally {
    progress.stop();
  }
  for (const part of BESIDE) cpSync(projectPath(part), join(folder, part), { recursive: true });
  writeFileSync(join(folder, MARK), '');
}

main(resolve(program.opts<{ to: string }>().to)).catch((error: unknown) => fail(errorText(error)));
