import type { DeadlineMs, ShardIndex } from '../../../core/types.ts';
import { HASH_VERSION } from '../../../core/slots.ts';
import type { Connection } from '../../connection/connection.ts';
import { SERVER_ERROR, ServerError, ShardRefused } from '../../connection/failures.ts';

const SQL = `
SELECT @@GLOBAL.read_only AS read_only, @@GLOBAL.binlog_order_commits AS order_commits,
       @@GLOBAL.replica_preserve_commit_order OR @@GLOBAL.replica_parallel_workers <= 1 AS in_order,
       shard.shard_index, shard.initial_shards, shard.hash_version
  FROM shard`;

interface Row {
  readonly read_only: number;
  readonly order_commits: number;
  readonly in_order: number;
  readonly shard_index: number;
  readonly initial_shards: number;
  readonly hash_version: number;
}

/**
 * Asserts that data seen on a server was so on the shard's primary: it applies the primary's commits in their order,
 * and no client writes to it.
 *
 * @throws ShardRefused when that is not so, with the reasons
 */
export async function checkReplica(
  connection: Connection,
  shard: ShardIndex,
  initialShards: number,
  deadlineMs: DeadlineMs,
): Promise<void> {
  const [row] = await connection.rows<Row>(SQL, [], deadlineMs).catch((error: unknown) => {
    throw error instanceof ServerError && error.number === SERVER_ERROR.noSuchTable
      ? new ShardRefused('the schema has no tables yet')
      : error;
  });
  if (row === undefined) throw new ShardRefused('the schema has no slots yet');
  const faults: string[] = [];
  if (row.shard_index !== shard) faults.push(`this schema holds shard ${row.shard_index}, not ${shard}`);
  if (row.initial_shards !== initialShards)
    faults.push(`its slots were dealt to ${row.initial_shards} shards, the configuration says ${initialShards}`);
  if (row.hash_version !== HASH_VERSION)
    faults.push(`its hash version is ${row.hash_version}, this gateway's is ${HASH_VERSION}`);
  if (row.read_only !== 1) faults.push('it is not read only: a client may write what its primary does not have');
  if (row.order_commits !== 1)
    faults.push('binlog_order_commits is off: commits may be seen in another order than the primary made them');
  if (row.in_order !== 1)
    faults.push(
      'replica_preserve_commit_order is off: commits may be seen in another order than the primary made them',
    );
  if (faults.length > 0) throw new ShardRefused(faults.join('; '));
}
