import { rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import type { Plugin } from 'esbuild';
import { ownPath, removeAbandoned } from '../cluster/ownership.ts';
import { projectPath } from '../../src/projectPath.ts';

/**
 * Packages that are not bundled: database drivers that knex loads only on request, packages that are used together with
 * the sources, and packages with native code.
 */
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

/** Packages in CommonJS load other packages by `require`, which an ES module must define. */
const REQUIRE =
  "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.filename);";

/**
 * Gives the expression that replaces `import.meta.url` in a file, so that the file finds the files beside it.
 *
 * @param path the absolute path of the file
 */
export type UrlExpression = (path: string) => string;

/** The files beside the source are used. */
const besideSource: UrlExpression = (path) => JSON.stringify(pathToFileURL(path).href);

function replaceImportMetaUrl(whereItIs: UrlExpression): Plugin {
  return {
    name: 'replace-import-meta-url',
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
 * Bundles an entry of this checkout with all its imports into one file, once for each process. The file starts in a
 * tenth of the time that loading hundreds of sources and packages takes, and behaves the same.
 *
 * @param entry relative to the checkout, like `src/main.ts`
 * @returns the path of a file for Node.js, which is removed when this process exits
 */
export function bundled(entry: string): Promise<string> {
  const known = bundles.get(entry) ?? make(entry);
  bundles.set(entry, known);
  return known;
}

/** Makes a directory that is removed when this process exits. */
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

/** Bundles an entry of this checkout with all its imports into a file. @param entry relative to the checkout */
export async function bundle(entry: string, file: string, whereItIs: UrlExpression): Promise<void> {
  await build({
    entryPoints: [projectPath(entry)],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external: ABSENT,
    banner: { js: REQUIRE },
    plugins: [replaceImportMetaUrl(whereItIs)],
    logLevel: 'error',
  });
}
