import type { Setting } from '../world.ts';

export const SUB_ROWS = [1, 2, 4, 8, 16] as const;

const COMMIT_MICROS = 20_000;

/**
 * As many servers as sub-rows, each with slow commits and small batches, so that the databases limit the rate and not
 * the cores of the machine.
 */
export const SLOW_COMMITS: Setting = {
  servers: Math.max(...SUB_ROWS),
  // MariaDB has no such delay.
  kind: 'mysql',
  extraArguments: [`--binlog-group-commit-sync-delay=${COMMIT_MICROS}`],
  demands: { binlog_group_commit_sync_delay: COMMIT_MICROS },
  gateway: { STOCKGATE_BATCH_LINES_MAX: '8' },
};

/** Four batches for each sub-row: orders choose a sub-row at random, and each sub-row should have a full batch. */
const CONNECTIONS_PER_SUB_ROW = 32;

/**
 * A run is this many times as long as the runs of other arms: opening all connections takes longer the more there are,
 * and must stay a small part of the run.
 */
export const RUN_LENGTH_FACTOR = 6;

export function connectionsFor(sub_rows: number): number {
  return sub_rows * CONNECTIONS_PER_SUB_ROW;
}
