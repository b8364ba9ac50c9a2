import type { DeadlineMs } from '../../core/nouns.ts';
import type { Connection } from '../connection.ts';
import { LOCK_SAID_MS } from './prepareSession.ts';

/** However many gateways there are, a heart beats no more often. */
export const HEARTBEAT_MS = 150;

/**
 * Both moments are read when the row's lock is got: whoever brings new units to a row that had none shares that lock from before
 * he reads the clock until he has committed. So who read it before a heartbeat is told by whatever shows that heartbeat.
 * A heartbeat that lies ahead is from before the clock was set back.
 */
const SQL = `
UPDATE precheck SET heartbeat_at = SYSDATE(6)
 WHERE only_row = 1
   AND (heartbeat_at IS NULL OR heartbeat_at <= SYSDATE(6) - INTERVAL ${HEARTBEAT_MS * 1_000} MICROSECOND OR heartbeat_at > SYSDATE(6))`;

/**
 * Writes the shard's time into its heartbeat when it is due; not in a transaction.
 *
 * @returns false when somebody else did so lately
 * @throws ServerError when the row stayed locked, or the schema has none yet
 */
export async function beatHeart(connection: Connection, deadlineMs: DeadlineMs): Promise<boolean> {
  const [answer] = await connection.script([SQL], [], deadlineMs, LOCK_SAID_MS);
  return answer !== undefined && 'affectedRows' in answer && answer.affectedRows === 1;
}
