import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { projectPath } from '../../src/projectPath.ts';

/** Folders that are not part of the code. */
const LEFT_OUT = ['.git', 'node_modules', '.local', 'coverage'];

/** Shared with the checkout: too large to copy, and never changed by a patch. */
const SHARED = ['node_modules', '.local/copies', '.local/templates'];

/** Copies of the checkout as it was at one moment. Later changes of the checkout have no effect on them. */
export interface Copies {
  /** Makes a copy. @returns its path */
  make(name: string): string;
  /** Removes a copy. */
  drop(name: string): void;
  /** Removes everything. */
  remove(): void;
}

/** Copies the checkout with its uncommitted changes. */
export function copyCheckout(): Copies {
  const root = mkdtempSync(join(tmpdir(), 'stockgate-planted-'));
  const original = join(root, 'original');
  mkdirSync(original);
  for (const name of readdirSync(projectPath('.'))) {
    if (!LEFT_OUT.includes(name)) cpSync(projectPath(name), join(original, name), { recursive: true });
  }
  return {
    make(name) {
      const copy = join(root, name);
      cpSync(original, copy, { recursive: true });
      mkdirSync(join(copy, '.local'));
      for (const shared of SHARED) {
        mkdirSync(projectPath(shared), { recursive: true });
        symlinkSync(projectPath(shared), join(copy, shared));
      }
      return copy;
    },
    drop: (name) => rmSync(join(root, name), { recursive: true, force: true }),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Applies a patch to a copy. @throws when it does not apply, with the message of git */
export function applyPatch(patch: string, copy: string): void {
  apply(patch, copy, []);
}

/** Checks that a patch applies, without a change. @throws when it does not, with the message of git */
export function checkPatch(patch: string, copy: string): void {
  apply(patch, copy, ['--check']);
}

function apply(patch: string, copy: string, options: readonly string[]): void {
  // If a parent folder of the copy were a repository, git would change nothing and report nothing.
  const env = { ...process.env, GIT_CEILING_DIRECTORIES: dirname(copy) };
  const { status, stderr } = spawnSync('git', ['apply', ...options, patch], { cwd: copy, env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${basename(patch)} does not apply any more: ${stderr.trim()}`);
}
