import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { importTypeScript } from '../../../src/importTypeScript.ts';
import { ownPath } from '../../../scripts/cluster/ownership.ts';
import { projectPath } from '../../../src/projectPath.ts';

const run = promisify(execFile);

/** The sources of an earlier version of this project, to be run by tsx. */
export interface EarlierVersion {
  readonly commit: string;
  /** The number of its own newest migration. */
  readonly level: number;
  /** The value of its `GATEWAY_LEVEL`. */
  readonly gatewayLevel: number;
  readonly path: string;
  /** Its command `migrate`, absolute. */
  readonly migrate: string;
  remove(): void;
}

/** Where `GATEWAY_LEVEL` and the command are: the second place is that of versions up to migration 0009. */
const LEVEL_FILES = ['src/mysql/migrations/schemaLevel.ts', 'src/mysql/schemaLevel.ts'];
const MIGRATE_FILES = ['src/commands/migrate.ts', 'scripts/migrate.ts'];

/** The files that its gateway and its command need. Packages are found in a parent folder, this checkout. */
const FILES = ['src', 'scripts', 'migrations', 'package.json'];

/**
 * Writes the sources of an earlier version.
 *
 * @param from its commit; null: the last commit whose newest migration is older than that of this checkout
 * @returns the reason when there is none: the history is missing, or does not reach back far enough
 */
export async function versionBefore(from: string | null): Promise<EarlierVersion | string> {
  const commit = await (from === null
    ? commitBefore(newestOf(readdirSync(projectPath('migrations'))))
    : commitNamed(from, `the history of this checkout does not reach back to ${from}: git fetch --unshallow`));
  if (commit.is === 'none') return commit.reason;
  // A folder inside this checkout, where its packages are found.
  const path = ownPath(projectPath('.local/runs/earlier'));
  const remove = (): void => rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { recursive: true });
  try {
    const archive = join(path, 'sources.tar');
    await git('archive', '--output', archive, commit.hash, ...FILES);
    await run('tar', ['-xf', archive, '-C', path]);
    rmSync(archive);
    const missing = missingPackages(path);
    if (missing.length > 0) {
      remove();
      return (
        `the version before needs packages that this one has not: ${missing.join(', ')}; ` +
        'keep them among devDependencies until the next migration'
      );
    }
    const firstOf = (files: readonly string[]): string =>
      files.map((file) => join(path, file)).find((file) => existsSync(file)) ?? '';
    const { GATEWAY_LEVEL } = (await importTypeScript(firstOf(LEVEL_FILES))) as {
      GATEWAY_LEVEL: number;
    };
    return {
      commit: commit.hash,
      level: newestOf(readdirSync(join(path, 'migrations'))),
      gatewayLevel: GATEWAY_LEVEL,
      migrate: firstOf(MIGRATE_FILES),
      path,
      remove,
    };
  } catch (error) {
    remove();
    throw error;
  }
}

/** The packages that its gateway needs and that are not installed here. */
function missingPackages(path: string): string[] {
  const { dependencies = {} } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as {
    dependencies?: Record<string, string>;
  };
  return Object.keys(dependencies).filter((name) => !existsSync(projectPath(`node_modules/${name}`)));
}

type Found = { readonly is: 'found'; readonly hash: string } | { readonly is: 'none'; readonly reason: string };

/** @param reason why the commit is absent, if it is */
async function commitNamed(name: string, reason: string): Promise<Found> {
  const top = await git('rev-parse', '--show-toplevel').catch(() => null);
  // A copy of this checkout may lie inside another checkout, whose history is a different one.
  if (top === null || realpathSync(top) !== realpathSync(projectPath('.')))
    return { is: 'none', reason: 'this is not a git checkout, so there is no earlier version' };
  const hash = await git('rev-parse', '--verify', '--quiet', `${name}^{commit}`).catch(() => null);
  return hash === null ? { is: 'none', reason } : { is: 'found', hash };
}

async function commitBefore(newest: number): Promise<Found> {
  const head = await commitNamed('HEAD', 'this checkout has no commit yet');
  if (head.is === 'none') return head;
  const changing = (await git('log', '--first-parent', '--format=%H', '--', 'migrations'))
    .split('\n')
    .filter((hash) => hash !== '');
  let later: string | null = null;
  for (const hash of changing) {
    const names = await git('ls-tree', '--name-only', hash, 'migrations/');
    if (newestOf(names.split('\n').map((name) => name.replace('migrations/', ''))) < newest) break;
    later = hash;
  }
  // Changes that are not committed are based on the last commit.
  return commitNamed(
    later === null ? 'HEAD' : `${later}^`,
    `the history of this checkout does not reach back beyond migration ${newest}: git fetch --unshallow`,
  );
}

async function git(...words: string[]): Promise<string> {
  const { stdout } = await run('git', words, { cwd: projectPath('.') });
  return stdout.trim();
}

function newestOf(names: readonly string[]): number {
  return Math.max(0, ...names.flatMap((name) => /^(\d{4})_\w+\.ts$/.exec(name)?.[1] ?? []).map(Number));
}
