/**
 * Who a directory belongs to, when processes may be killed at any moment and several may start at once.
 *
 * What one process alone uses carries that process's mark in its name: label~host~pid~start~count. The start time tells
 * a process from a later one that was given the same number. What all share is made under such a name and renamed
 * when it is complete, so it is there in full or not at all, and whoever comes second uses the first one's.
 */
import { readFileSync } from 'node:fs';
import { link, mkdir, readdir, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';

const STAMP = 'made.json';
let count = 0;

/** `path` with this process's mark added to its last part; another name at each call. */
export function ownPath(path: string): string {
  count += 1;
  return join(dirname(path), `${basename(path)}~${hostname()}~${process.pid}~${startedAt(process.pid) ?? ''}~${count}`);
}

/**
 * Whether the process whose mark a name carries is gone. Names without a mark, and those of other hosts, whose
 * processes cannot be seen from here, are never abandoned.
 */
export function isAbandoned(name: string): boolean {
  const [, host, pid, start] = basename(name).split('~');
  if (host !== hostname() || pid === undefined) return false;
  const now = startedAt(Number(pid));
  return now === undefined || now !== start;
}

/** Removes what killed processes left in a directory. */
export async function removeAbandoned(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  const abandoned = names.filter(isAbandoned);
  await Promise.all(abandoned.map((name) => rm(join(directory, name), { recursive: true, force: true })));
}

/**
 * Makes a directory unless it is there in full already.
 *
 * @param build fills the empty directory it is given; what it returns is kept as JSON beside its work.
 * @returns what `build` returned, now or when the directory was made.
 */
export async function makeOnce<T>(directory: string, build: (temporary: string) => Promise<T>): Promise<T> {
  const made = await readStamp<T>(directory);
  if (made !== undefined) return made;
  const temporary = ownPath(directory);
  const remains = ownPath(directory);
  try {
    // Without a stamp it is not complete: out of the way with it, now, long before the new one is.
    await rename(directory, remains).catch(unless('ENOENT'));
    await mkdir(temporary, { recursive: true });
    const stamp = await build(temporary);
    await writeFile(join(temporary, STAMP), JSON.stringify(stamp));
    // Another process may have been faster, then its work counts.
    await rename(temporary, directory).catch(unless('ENOTEMPTY', 'EEXIST'));
    return (await readStamp<T>(directory)) ?? stamp;
  } finally {
    await Promise.all([temporary, remains].map((path) => rm(path, { recursive: true, force: true })));
  }
}

/** What `makeOnce` kept beside a complete directory, or undefined. */
export async function readStamp<T>(directory: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(join(directory, STAMP), 'utf8')) as T;
  } catch {
    return undefined;
  }
}

/**
 * Takes a directory, which outlives processes, for this one; makes it when it is not there.
 *
 * @returns a function that gives it back.
 * @throws when a live process has it.
 */
export async function claim(directory: string): Promise<() => Promise<void>> {
  const owner = join(directory, 'owner');
  const mine = ownPath(owner);
  await mkdir(directory, { recursive: true });
  await writeFile(mine, basename(mine));
  try {
    // A link appears together with its content, so nobody reads half a mark.
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

/** A handler for errors that swallows those of these codes. */
function unless(...codes: string[]): (error: NodeJS.ErrnoException) => void {
  return (error) => {
    if (!codes.includes(error.code ?? '')) throw error;
  };
}

/** When a live process started, in the kernel's ticks since boot; undefined when there is none, or a zombie only. */
function startedAt(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the program's name, may hold blanks and brackets; state is the third, the start the 22nd.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
