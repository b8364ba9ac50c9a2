import { isAlive } from '../run/command.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { projectPath } from '../../../src/projectPath.ts';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { queryOnce } from '../../../scripts/cluster/queryOnce.ts';
import { startCluster } from '../../../scripts/cluster/cluster.ts';
import type { Cluster, ClusterOptions, DatabaseServer } from '../../../scripts/cluster/contract.ts';

export const CHECKOUT = projectPath('.');
export const DATA_DIRECTORY = join(CHECKOUT, '.local');
const ANSWER_LIMIT_MS = 2_000;

export const quiet = (): void => {};

/** Starts a cluster, of one server unless `options` name more. */
export function start(options: Partial<ClusterOptions> = {}): Promise<Cluster> {
  return startCluster({ servers: 1, dataDirectory: DATA_DIRECTORY, onProgress: quiet, ...options });
}

export function question(server: DatabaseServer, statement: string): ReturnType<typeof queryOnce> {
  return queryOnce(server, statement, ANSWER_LIMIT_MS);
}

/** The temporary directories of a process. */
export async function runsOf(pid: number): Promise<string[]> {
  return (await readdir(join(DATA_DIRECTORY, 'runs')).catch(() => [])).filter((name) => name.includes(`~${pid}~`));
}

/** The error of a promise that must be rejected. */
export async function rejection(promise: Promise<unknown>): Promise<Error> {
  return promise.then(
    () => {
      throw new Error('it should have failed');
    },
    (error: Error) => error,
  );
}

/** The output of apt with whole suites, a part of one, and a suite of another product. */
export const APT_OUTPUT = [
  "'http://one.example/debian/dists/bookworm/InRelease' one_InRelease 0 ",
  "'http://one.example/debian/dists/bookworm-updates/InRelease' one_updates_InRelease 0 ",
  "'http://one.example/debian/dists/bookworm/main/binary-amd64/Packages.xz' one_Packages 0 ",
  "'http://two.example/debian-security/dists/bookworm-security/InRelease' two_InRelease 0 ",
  "'https://three.example/tools/dists/bookworm/InRelease' three_InRelease 0 ",
].join('\n');

/** Waits until a process has ended. @returns whether it ended in this time, in milliseconds */
export async function diesWithin(pid: number, ms: number): Promise<boolean> {
  const untilMs = performance.now() + ms;
  while (isAlive(pid) && performance.now() < untilMs) await sleep(20);
  return !isAlive(pid);
}
