import { createHash } from 'node:crypto';
import type { DeadlineMs } from '../../core/types.ts';
import { Connection } from '../connection/connection.ts';
import type { Address } from '../connection/connection.ts';
import { setSession } from '../sql/session/prepareSession.ts';

const CONNECT_MS = 3_000;
/** A day, which is longer than any of these commands takes. */
const SILENT_SECONDS = 86_400;

/**
 * Keeps commands that repair shards apart: each holds a lock of its shards' servers, which ends with its connections.
 */
export class RepairLock {
  readonly #held: readonly Connection[];

  private constructor(held: readonly Connection[]) {
    this.#held = held;
  }

  /** @throws Error when another command works on one of the shards, or a shard cannot be reached */
  static async take(
    shards: readonly { readonly name: string; readonly address: Address }[],
    statementMs: number,
    deadlineMs: DeadlineMs,
  ): Promise<RepairLock> {
    const held: Connection[] = [];
    try {
      for (const { name, address } of shards) {
        const connection = await Connection.open(address, statementMs, CONNECT_MS);
        held.push(connection);
        await setSession(connection, 'wait_timeout', SILENT_SECONDS, deadlineMs);
        const [row] = await connection.rows<{ taken: number | null }>(
          'SELECT GET_LOCK(?, 0) AS taken',
          [Buffer.from(nameOf(address.schema))],
          deadlineMs,
        );
        if (row?.taken !== 1) throw new Error(`another command is at work on ${name}`);
      }
      return new RepairLock(held);
    } catch (error) {
      for (const connection of held) connection.destroy();
      throw error;
    }
  }

  /** @throws Error when a lock was lost, so that another command may be working now */
  assert(): void {
    if (this.#held.some(({ isLost }) => isLost))
      throw new Error('the connection with the lock against other commands is gone; nothing more is done');
  }

  free(): void {
    for (const connection of this.#held) connection.destroy();
  }
}

/**
 * The name of a lock, which the whole server shares: at most 64 characters, as many as a schema's own name may have.
 */
function nameOf(schema: string): string {
  return `stockgate work:${createHash('sha1').update(schema).digest('hex')}`;
}
