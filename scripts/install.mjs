// Installs the packages when they are missing or the lockfile is newer. Plain JavaScript without packages, see run.mjs.
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, readlinkSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 200;

/**
 * @param {string} root the checkout, with a slash at its end
 * @throws with one line that says what is wrong
 */
export async function installPackages(root) {
  const lockfile = `${root}package-lock.json`;
  const modules = `${root}node_modules`;
  const installed = `${modules}/.package-lock.json`;
  const isInstalled = () => existsSync(installed) && statSync(lockfile).mtimeMs <= statSync(installed).mtimeMs;
  if (isInstalled()) return;
  // `npm ci` empties the folder that a link leads to, and that one is another checkout's.
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink()) {
    throw new Error(
      'node_modules is a link, and what it leads to is not what package-lock.json asks for; remove the link',
    );
  }
  const release = await lockAlone(`${root}.installing`);
  try {
    if (!isInstalled()) npmCi(root);
  } finally {
    release();
  }
}

function npmCi(root) {
  console.error('installing packages (npm ci) …');
  // None of the packages needs its scripts: what they would compile are faster ways to do what nobody does here.
  const { status } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) throw new Error('npm ci failed; the packages are not there');
}

/**
 * Two commands started at once in a fresh clone would tear each other's packages apart: one installs, the other waits. The
 * lock is a link to nothing, named after the process that has it: made or refused in one step, and void with its process.
 */
async function lockAlone(lock) {
  for (;;) {
    try {
      symlinkSync(String(process.pid), lock);
      return () => rmSync(lock, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (isAlive(ownerOf(lock))) await sleep(POLL_MS);
    else rmSync(lock, { force: true });
  }
}

function ownerOf(lock) {
  try {
    return Number(readlinkSync(lock));
  } catch {
    return null;
  }
}

function isAlive(pid) {
  try {
    return pid !== null && process.kill(pid, 0);
  } catch (error) {
    return error.code === 'EPERM';
  }
}
