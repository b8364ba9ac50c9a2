// Installs the packages when they are missing or the lockfile is newer. Plain JavaScript without packages, see run.mjs.
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, readlinkSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 200;

/**
 * @param {string} root the checkout, with a slash at its end
 * @throws with a message of one line
 */
export async function installPackages(root) {
  const lockfile = `${root}package-lock.json`;
  const modules = `${root}node_modules`;
  const installed = `${modules}/.package-lock.json`;
  const isInstalled = () => existsSync(installed) && statSync(lockfile).mtimeMs <= statSync(installed).mtimeMs;
  if (isInstalled()) return;
  // `npm ci` would empty the folder that the link points to, which belongs to another checkout.
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink()) {
    throw new Error('node_modules is a link, and its packages are not those of package-lock.json; remove the link');
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
  // No package needs its install scripts: they would only compile faster versions of functions that are not used here.
  const { status } = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (status !== 0) throw new Error('npm ci failed, so the packages are not installed; see its output above');
}

/**
 * Two commands that start at once in a new clone would damage each other's packages, so one installs and the other
 * waits. The lock is a dangling link whose target is the id of the owning process. A link is created or rejected in
 * one step, and the lock is void when its process has ended.
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
