import { randomBytes } from 'node:crypto';
import type { DeadlineMs } from '../../../core/types.ts';
import type { RestockDelay } from '../../../core/ports/restockDelays.ts';
import { RESTOCK_DELAY_MS } from '../../../core/precheck/stockReading.ts';
import type { Connection } from '../../connection/connection.ts';

/** The first level of gateways that apply the restock delay. */
const OLDEST_GATEWAY = 7;
/**
 * Gateways that this shuts out inspect their shards every half second, if the shard answers. Work that they have begun
 * until then ends within five more seconds.
 */
export const NOTICED_SECONDS = 30;
const SECRET_BYTES = 32;

const READ = 'SELECT sellable_after_ms, ready_at <= SYSDATE(6) AS is_ready, secret FROM precheck';
const SHUT_OUT = 'UPDATE shard SET oldest_gateway = GREATEST(oldest_gateway, ?)';
const TURN_ON = `
UPDATE precheck SET sellable_after_ms = ?, ready_at = SYSDATE(6) + INTERVAL ? SECOND, secret = COALESCE(secret, ?)
 WHERE only_row = 1 AND (sellable_after_ms < ? OR ready_at IS NULL)`;

const READ_DELAY = 'SELECT sellable_after_ms, ready_at IS NOT NULL AS is_armed FROM precheck';
const DISARM = 'UPDATE precheck SET ready_at = NULL WHERE only_row = 1';
const TURN_OFF = 'UPDATE precheck SET sellable_after_ms = 0 WHERE only_row = 1 AND ready_at IS NULL';

/** The pre-check state of a shard. */
export interface PrecheckState {
  /** Whether all gateways keep new units of an empty row unsold for as long as a reading of the row is used. */
  readonly isReady: boolean;
  /** Signs readings of its SKUs that are stored outside of it. */
  readonly secret: Buffer | null;
}

/**
 * Reads the state of a shard, and turns the delay on if it is off. Gateways that cannot apply it are shut out first.
 */
export async function readOrTurnOn(connection: Connection, deadlineMs: DeadlineMs): Promise<PrecheckState> {
  const [row] = await connection.rows<{ sellable_after_ms: number; is_ready: number | null; secret: Buffer | null }>(
    READ,
    [],
    deadlineMs,
  );
  if (row === undefined) return { isReady: false, secret: null };
  const isOn = row.sellable_after_ms >= RESTOCK_DELAY_MS && row.is_ready !== null;
  if (!isOn) {
    await connection.run(SHUT_OUT, [OLDEST_GATEWAY], deadlineMs);
    await connection.run(
      TURN_ON,
      [RESTOCK_DELAY_MS, NOTICED_SECONDS, randomBytes(SECRET_BYTES), RESTOCK_DELAY_MS],
      deadlineMs,
    );
  }
  return { isReady: isOn && row.is_ready === 1, secret: row.secret };
}

/** Reads the restock delay of a shard, without turning it on. */
export async function readDelay(connection: Connection, deadlineMs: DeadlineMs): Promise<RestockDelay> {
  const [row] = await connection.rows<{ sellable_after_ms: number; is_armed: number }>(READ_DELAY, [], deadlineMs);
  return { delayMs: row?.sellable_after_ms ?? 0, isArmed: row?.is_armed === 1 };
}

/** Ends early refusals, and keeps the delay. A gateway with tiers that reads the row afterwards arms it again. */
export async function disarmDelay(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
  await connection.run(DISARM, [], deadlineMs);
}

/** Turns the delay off, unless a gateway armed it. @returns whether it is off */
export async function turnDelayOff(connection: Connection, deadlineMs: DeadlineMs): Promise<boolean> {
  return (await connection.run(TURN_OFF, [], deadlineMs)).matched === 1;
}
