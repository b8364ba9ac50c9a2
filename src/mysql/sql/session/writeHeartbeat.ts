import type { DeadlineMs } from '../../../core/types.ts';
import type { Connection } from '../../connection/connection.ts';
import { LOCK_ERROR_MS } from './prepareSession.ts';

/** The shortest time between two heartbeats of a shard, however many gateways there are. */
export const HEARTBEAT_MS = 150;

/**
 * Both clock readings are taken after the row's lock is granted. A transaction that brings new units to an empty row
 * shares that lock from before it reads the clock until it has committed. So if it read the clock before a heartbeat,
 * every snapshot that shows the heartbeat shows its units. A heartbeat ahead of the clock is from before the clock was
 * set back.
 */
const SQL = `
UPDATE precheck SET heartbeat_at = SYSDATE(6)
 WHERE only_row = 1
   AND (heartbeat_at IS NULL OR heartbeat_at <= SYSDATE(6) - INTERVAL ${HEARTBEAT_MS * 1_000} MICROSECOND
        OR heartbeat_at > SYSDATE(6))`;

/**
 * Writes the shard's time into its heartbeat when it is due; not in a transaction.
 *
 * @returns false when another gateway wrote it lately
 * @throws ServerError when the row stayed locked, or the schema has none yet
 */
export async function writeHeartbeat(connection: Connection, deadlineMs: DeadlineMs): Promise<boolean> {
  const [answer] = await connection.script([SQL], [], deadlineMs, LOCK_ERROR_MS);
  return answer !== undefined && 'affectedRows' in answer && answer.affectedRows === 1;
}
