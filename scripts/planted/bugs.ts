import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { projectPath } from '../support/paths.ts';

/** A bug to be planted, and the tests that must notice it. */
export interface PlantedBug {
  readonly name: string;
  /** What the bug is, in a sentence. */
  readonly about: string;
  /** Absolute. */
  readonly patch: string;
  /** From the root of the checkout. */
  readonly testFiles: readonly string[];
  /** Only the tests whose title holds this; null: all of the files. */
  readonly grep: string | null;
}

const FOLDER = 'test/planted';

/**
 * The bugs in `test/planted`, in the order of their numbers. Each is a patch below two lines of its own: what the bug is,
 * and `Caught by: FILE… [--grep TEXT]`.
 *
 * @throws when a patch does not say these
 */
export function readBugs(): PlantedBug[] {
  const files = readdirSync(projectPath(FOLDER)).filter((file) => file.endsWith('.patch'));
  return files
    .sort((a, b) => parseInt(a, 10) - parseInt(b, 10))
    .map((file) => readBug(join(projectPath(FOLDER), file)));
}

function readBug(patch: string): PlantedBug {
  const [about = '', caughtBy = ''] = readFileSync(patch, 'utf8').split('\n');
  const [, files = '', grep = null] = /^Caught by: (.+?)(?: --grep (.+))?$/.exec(caughtBy) ?? [];
  if (about === '' || files === '')
    throw new Error(`${basename(patch)} must begin with what the bug is, then "Caught by: FILE… [--grep TEXT]"`);
  return { name: basename(patch, '.patch'), about, patch, testFiles: files.split(' '), grep };
}

/** What is called for by name or by number; all bugs when nothing is. @throws on a name that no bug has */
export function choose(bugs: readonly PlantedBug[], names: readonly string[]): PlantedBug[] {
  const isCalled = (bug: PlantedBug, name: string): boolean =>
    bug.name === name || bug.name.split('-')[0] === name || bug.name.endsWith(`-${name}`);
  const unknown = names.filter((name) => !bugs.some((bug) => isCalled(bug, name)));
  if (unknown.length > 0) throw new Error(`no planted bug is called ${unknown.join(', ')}`);
  return bugs.filter((bug) => names.length === 0 || names.some((name) => isCalled(bug, name)));
}
