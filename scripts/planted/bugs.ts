import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { projectPath } from '../../src/projectPath.ts';

/** A bug to plant, and the tests that must fail with it. */
export interface PlantedBug {
  readonly name: string;
  /** The bug in a sentence. */
  readonly description: string;
  /** The absolute path of its patch. */
  readonly patch: string;
  /** Paths from the root of the checkout. */
  readonly testFiles: readonly string[];
  /** Only the tests whose title contains this; null: all tests of the files. */
  readonly grep: string | null;
}

const FOLDER = 'test/planted';

/**
 * The bugs in `test/planted`, in the order of their numbers. Each file has two lines before its patch: the bug in a
 * sentence, and `Caught by: FILE… [--grep TEXT]`.
 *
 * @throws when a file lacks these lines
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
    throw new Error(`${basename(patch)} must begin with the bug in a sentence and "Caught by: FILE… [--grep TEXT]"`);
  return { name: basename(patch, '.patch'), description: about, patch, testFiles: files.split(' '), grep };
}

/** Selects bugs by name or by number; all bugs without `names`. @throws on a name that no bug has */
export function chooseBugs(bugs: readonly PlantedBug[], names: readonly string[]): PlantedBug[] {
  const isCalled = (bug: PlantedBug, name: string): boolean =>
    bug.name === name || bug.name.split('-')[0] === name || bug.name.endsWith(`-${name}`);
  const unknown = names.filter((name) => !bugs.some((bug) => isCalled(bug, name)));
  if (unknown.length > 0) throw new Error(`no planted bug is called ${unknown.join(', ')}`);
  return bugs.filter((bug) => names.length === 0 || names.some((name) => isCalled(bug, name)));
}
