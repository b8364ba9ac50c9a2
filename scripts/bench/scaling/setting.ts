import type { Setting } from '../world.ts';

export const SUB_ROWS = [1, 2, 4, 8, 16] as const;

const COMMIT_MICROS = 20_000;

/** As many servers as sub-rows, where a commit takes long and a batch holds little: so the databases limit, and not the two cores. */
export const SLOW_COMMITS: Setting = {
  servers: Math.max(...SUB_ROWS),
  // MariaDB knows no such delay.
  kind: 'mysql',
  extraArguments: [`--binlog-group-commit-sync-delay=${COMMIT_MICROS}`],
  demands: { binlog_group_commit_sync_delay: COMMIT_MICROS },
  gateway: { STOCKGATE_BATCH_LINES_MAX: '8' },
};

/** Four batches for each sub-row: orders fall on sub-rows by chance, and none is to be without a full batch. */
const CONNECTIONS_PER_SUB_ROW = 32;

/** So many times as long as other runs: the first moments, in which all connections are opened, take more of a run the more there are. */
export const RUN_LENGTH = 6;

export function connectionsFor(sub_rows: number): number {
  return sub_rows * CONNECTIONS_PER_SUB_ROW;
}
