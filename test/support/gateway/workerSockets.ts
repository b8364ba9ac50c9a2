import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const ESTABLISHED = '01';

/** The running workers of a primary. The primary may also have a shell that ends it with its parent. */
export function workersOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .split(' ')
    .filter((word) => word !== '')
    .map(Number);
  return children.filter((child) => commandOf(child).startsWith(process.execPath));
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

/** The number of connections to a local port that a process has accepted and keeps open. */
export function acceptedBy(pid: number, port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync('/proc/net/tcp', 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map((row) => row.trim().split(/\s+/));
  const sockets = new Set(
    rows
      .filter(([, at = '', , state]) => at.endsWith(local) && state === ESTABLISHED)
      .map((row) => `socket:[${row[9]}]`),
  );
  return readdirSync(`/proc/${pid}/fd`).filter((descriptor) => sockets.has(linkOf(`/proc/${pid}/fd/${descriptor}`)))
    .length;
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
