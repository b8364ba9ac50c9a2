/**
 * Ownership of directories, when processes may be killed at any moment and several may start at once.
 *
 * A directory of one process carries the mark of that process in its name: label~host~pid~start~count. The start time
 * tells a process from a later one with the same number. A shared directory is made under such a name and renamed when
 * it is complete, so it exists in full or not at all. The second process that makes it uses the result of the first.
 */
import { readFileSync } from 'node:fs';
import { link, mkdir, readdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';

const STAMP = 'made.json';
let count = 0;

/** `path` with the mark of this process added to its last part; each call returns another name. */
export function ownPath(path: string): string {
  count += 1;
  return join(dirname(path), `${basename(path)}~${hostname()}~${process.pid}~${startedAt(process.pid) ?? ''}~${count}`);
}

/**
 * Whether the process whose mark a name carries has ended. Names without a mark, and names of other hosts, whose
 * processes cannot be checked from here, are never abandoned.
 */
export function isAbandoned(name: string): boolean {
  const [, host, pid, start] = basename(name).split('~');
  if (host !== hostname() || pid === undefined) return false;
  const now = startedAt(Number(pid));
  return now === undefined || now !== start;
}

/** Removes the entries of ended processes from a directory. */
export async function removeAbandoned(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  const abandoned = names.filter(isAbandoned);
  await Promise.all(abandoned.map((name) => rm(join(directory, name), { recursive: true, force: true })));
}

/**
 * Makes a directory unless it exists in full.
 *
 * @param build fills an empty directory; its result is stored there as JSON.
 * @returns what `build` returned, now or when the directory was made.
 */
export async function makeOnce<T>(directory: string, build: (temporary: string) => Promise<T>): Promise<T> {
  const made = await readStamp<T>(directory);
  if (made !== undefined) return made;
  const temporary = ownPath(directory);
  const remains = ownPath(directory);
  try {
    // Without a stamp it is not complete: it is moved away now, long before the new one is complete.
    await rename(directory, remains).catch(unless('ENOENT'));
    await mkdir(temporary, { recursive: true });
    const stamp = await build(temporary);
    await writeFile(join(temporary, STAMP), JSON.stringify(stamp));
    // Another process may have been faster; its directory is used then.
    await rename(temporary, directory).catch(unless('ENOTEMPTY', 'EEXIST'));
    return (await readStamp<T>(directory)) ?? stamp;
  } finally {
    await Promise.all([temporary, remains].map((path) => rm(path, { recursive: true, force: true })));
  }
}

/** The result that `makeOnce` stored in a complete directory; otherwise undefined. */
export async function readStamp<T>(directory: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(join(directory, STAMP), 'utf8')) as T;
  } catch {
    return undefined;
  }
}

/**
 * Claims a directory that outlives processes for this process; creates it if it does not exist.
 *
 * @returns a function that releases it.
 * @throws when another live process has claimed it.
 */
export async function claimDirectory(directory: string): Promise<() => Promise<void>> {
  const owner = join(directory, 'owner');
  const mine = ownPath(owner);
  await mkdir(directory, { recursive: true });
  await writeFile(mine, basename(mine));
  try {
    // A link appears together with its content, so no process reads half a mark.
    await link(mine, owner).catch(unless('EEXIST'));
    const mark = await readFile(owner, 'utf8');
    if (mark === basename(mine)) return () => rm(owner, { force: true });
    const [, host, pid] = mark.split('~');
    if (!isAbandoned(mark))
      throw new Error(`${directory} is in use by process ${pid} on ${host} (if it is not, delete ${owner})`);
    await unlink(owner);
    await link(mine, owner);
    return () => rm(owner, { force: true });
  } finally {
    await rm(mine, { force: true });
  }
}

/** An error handler that ignores errors with these codes. */
function unless(...codes: string[]): (error: NodeJS.ErrnoException) => void {
  return (error) => {
    if (!codes.includes(error.code ?? '')) throw error;
  };
}

/** When a process started, in the kernel's ticks since boot; undefined when it has ended or is a zombie. */
function startedAt(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the program's name, may contain blanks and brackets. The state is field 3, the start field 22.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
