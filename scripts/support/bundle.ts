import { rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import type { Plugin } from 'esbuild';
import { ownPath, removeAbandoned } from '../cluster/ownership.ts';
import { projectPath } from './paths.ts';

/** Drivers of other databases, which knex would load if it were asked to; what is loaded with the sources themselves; and what has native parts. */
const ABSENT = [
  'better-sqlite3',
  'mariadb',
  'mysql',
  'oracledb',
  'pg',
  'pg-query-stream',
  'sqlite3',
  'tedious',
  'tsx',
  'esbuild',
  'testcontainers',
];

/** Packages that are no ES modules ask for others by `require`. */
const REQUIRE =
  "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.filename);";

/** How a file of the checkout finds what lies beside it. @param path absolute @returns an expression, for `import.meta.url` */
export type WhereItIs = (path: string) => string;

/** Beside its source. */
const besideSource: WhereItIs = (path) => JSON.stringify(pathToFileURL(path).href);

function placing(whereItIs: WhereItIs): Plugin {
  return {
    name: 'placing',
    setup: ({ onLoad }) => {
      onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        const source = await readFile(path, 'utf8');
        return { loader: 'ts', contents: source.replaceAll(/\bimport\.meta\.url\b/g, whereItIs(path)) };
      });
    },
  };
}

const bundles = new Map<string, Promise<string>>();
let directory: Promise<string> | null = null;

/**
 * Puts an entry of this checkout and all that it imports into one file, once a process. To start that takes a tenth of the time
 * that loading hundreds of sources and packages does; otherwise it is the same.
 *
 * @param entry relative to the checkout, like `src/main.ts`
 * @returns the path of a file for Node.js, which is removed with this process
 */
export function bundled(entry: string): Promise<string> {
  const known = bundles.get(entry) ?? make(entry);
  bundles.set(entry, known);
  return known;
}

/** A directory that goes with this process. */
async function makeDirectory(): Promise<string> {
  const runs = projectPath('.local/runs');
  await removeAbandoned(runs);
  const own = ownPath(join(runs, 'bundles'));
  process.once('exit', () => rmSync(own, { recursive: true, force: true }));
  return own;
}

async function make(entry: string): Promise<string> {
  directory ??= makeDirectory();
  const file = join(await directory, `${entry.replaceAll('/', '-').replace(/\.ts$/, '')}.mjs`);
  await bundle(entry, file, besideSource);
  return file;
}

/** Puts an entry of this checkout and all that it imports into a file. @param entry relative to the checkout */
export async function bundle(entry: string, file: string, whereItIs: WhereItIs): Promise<void> {
  await build({
    entryPoints: [projectPath(entry)],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ABSENT,
    banner: { js: REQUIRE },
    plugins: [placing(whereItIs)],
    logLevel: 'error',
  });
}
