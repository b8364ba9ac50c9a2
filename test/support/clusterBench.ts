import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { queryOnce } from '../../scripts/cluster/ask.ts';
import { startCluster } from '../../scripts/cluster/cluster.ts';
import type { Cluster, ClusterOptions, DatabaseServer } from '../../scripts/cluster/contract.ts';

export const CHECKOUT = join(import.meta.dirname, '..', '..');
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
