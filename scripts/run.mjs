// Runs a command of this project in a fresh clone: installs the packages when they are missing or the lockfile is
// newer, then runs scripts/NAME.ts. It needs Node.js and npm and nothing else, so it is plain JavaScript.
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, readlinkSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// Who started this command; when that is gone, `scripts/support/lifetime.ts` ends it.
const parent = process.ppid;
globalThis[Symbol.for('stockgate.parent')] = parent;

const root = fileURLToPath(new URL('..', import.meta.url));
const lockfile = `${root}package-lock.json`;
const modules = `${root}node_modules`;
const installed = `${modules}/.package-lock.json`;
/** A link to nothing, named after the process that installs: made or refused in one step. */
const lock = `${root}.installing`;
const command = process.argv[2];

if (command === undefined || !existsSync(`${root}scripts/${command}.ts`)) {
  console.error(`there is no command ${command ?? ''}; see "scripts" in package.json`);
  process.exit(2);
}
// `npm ci` empties the folder that a link leads to, and that one is another checkout's.
if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink() && !isInstalled()) {
  console.error('node_modules is a link, and what it leads to is not what package-lock.json asks for; remove the link');
  process.exit(1);
}

function isInstalled() {
  return existsSync(installed) && statSync(lockfile).mtimeMs <= statSync(installed).mtimeMs;
}

/** Two commands started at once in a fresh clone would tear each other's packages apart: one installs, the other waits. */
async function installAlone() {
  for (;;) {
    try {
      symlinkSync(String(process.pid), lock);
      return;
    } catch {
      const owner = readOwner();
      if (owner === null || !isAlive(owner)) rmSync(lock, { force: true });
      else await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

function readOwner() {
  try {
    return Number(readlinkSync(lock));
  } catch {
    return null;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

if (!isInstalled()) {
  await installAlone();
  try {
    if (!isInstalled()) {
      console.error('installing packages (npm ci) …');
      const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root, stdio: ['ignore', 2, 2] });
      if (status !== 0) {
        console.error('npm ci failed; the packages are not there');
        process.exitCode = 1;
      }
    }
  } finally {
    rmSync(lock, { force: true });
  }
  if (process.exitCode === 1 || process.ppid !== parent) process.exit(1);
}

const script = `${root}scripts/${command}.ts`;
process.argv.splice(1, 2, script);
await import('tsx');
await import(script);
