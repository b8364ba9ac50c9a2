import type { DeadlineMs } from '../../../core/types.ts';
import type { Connection } from '../../connection/connection.ts';
import { ShardRefused } from '../../connection/failures.ts';
import { SETTING_COLUMNS, settingFaults } from '../../connection/serverSettings.ts';
import type { SettingFaults, SettingValues } from '../../connection/serverSettings.ts';

/** The state of a shard and of its server, as the shard reports it. */
export interface ShardCheck {
  readonly server_version: string;
  /** The shard's clock. */
  readonly epoch_ms: number;
  /** Whether the procedure that writes batches exists and this account may call it. */
  readonly callable: boolean;
  /**
   * False if `SYSDATE()` is the start of the statement, as with `--sysdate-is-now`: a batch could not detect that it is
   * late.
   */
  readonly clockRuns: boolean;
  readonly shard_index: number;
  readonly initial_shards: number;
  readonly hash_version: number;
  readonly schema_level: number;
  readonly oldest_gateway: number;
  /** Settings of its server and of this session that do not fit. */
  readonly settings: SettingFaults;
  /** Our tables that are not InnoDB, comma separated, or null. */
  readonly foreign_tables: string | null;
}

const SQL = `
SELECT VERSION() AS server_version,
       UNIX_TIMESTAMP(SYSDATE(6)) * 1000 AS epoch_ms,
       SYSDATE(6) > NOW(6) AS clock_runs,
       EXISTS (SELECT 1 FROM information_schema.routines
                WHERE routine_schema = DATABASE() AND routine_name = 'apply_part_6') AS callable,
       (SELECT GROUP_CONCAT(table_name) FROM information_schema.tables
         WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' AND engine <> 'InnoDB') AS foreign_tables,
       shard.shard_index, shard.initial_shards, shard.hash_version, shard.schema_level, shard.oldest_gateway
       ${SETTING_COLUMNS}
  FROM shard`;

type Plain = Omit<ShardCheck, 'settings' | 'clockRuns' | 'callable'>;
type Row = Plain & SettingValues & { clock_runs: number; callable: number };

/**
 * Reads the values that determine whether a shard may be served.
 *
 * @throws ShardRefused when the schema has tables but no slots yet; ServerError when it has no tables
 */
export async function checkShard(connection: Connection, deadlineMs: DeadlineMs): Promise<ShardCheck> {
  const [row] = await connection.rowsOfAnyServer<Row>(SQL, [], deadlineMs);
  if (row === undefined) throw new ShardRefused('the schema has no slots yet: run `npm run migrate -- up`');
  const [clockRuns, callable] = [row.clock_runs === 1, row.callable === 1];
  return { ...row, epoch_ms: Number(row.epoch_ms), clockRuns, callable, settings: settingFaults(row) };
}
