import { readFileSync } from 'node:fs';

/** Linux reports CPU time to user space in hundredths of a second, independent of the kernel's own tick. */
const TICKS_PER_SECOND = 100;

/** The CPU time that all threads of a process have used so far; null where it is not on this machine. */
export function cpuSeconds(pid: number | undefined): number | null {
  if (pid === undefined) return null;
  try {
    return ticksIn(readFileSync(`/proc/${pid}/stat`, 'utf8')) / TICKS_PER_SECOND;
  } catch {
    return null;
  }
}

/** Of several processes together; null where one is not on this machine, or there is none. */
export function cpuSecondsOf(pids: readonly (number | undefined)[]): number | null {
  const all = pids.map(cpuSeconds);
  const known = all.filter((seconds) => seconds !== null);
  return pids.length === 0 || known.length < all.length ? null : known.reduce((sum, seconds) => sum + seconds, 0);
}

/**
 * User and system time, in ticks, in the text of /proc/PID/stat. Its second field, the name of the program, may contain
 * blanks and brackets.
 */
export function ticksIn(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
