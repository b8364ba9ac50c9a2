import type { RestockDelay, RestockDelays } from '../../core/ports/restockDelays.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { Connection } from '../connection/connection.ts';
import type { Shard } from '../shard.ts';
import { disarmDelay, NOTICED_SECONDS, readDelay, turnDelayOff } from '../sql/stock/precheck.ts';

/**
 * After this time every gateway that serves a shard has read the shard's row, or refuses nothing early on the shard.
 */
export const NOTICED_MS = NOTICED_SECONDS * 1_000;

/** The restock delay of shards in MySQL. */
export class DelayStore implements RestockDelays {
  readonly #shards: readonly Shard[];

  /** @param shards opened without a pre-check: with one, their inspections would turn the delay on */
  constructor(shards: readonly Shard[]) {
    this.#shards = shards;
  }

  read(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<RestockDelay> {
    return this.#lend(shard, deadlineMs, (connection) => readDelay(connection, deadlineMs));
  }

  disarm(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<void> {
    return this.#lend(shard, deadlineMs, (connection) => disarmDelay(connection, deadlineMs));
  }

  turnOff(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<boolean> {
    return this.#lend(shard, deadlineMs, (connection) => turnDelayOff(connection, deadlineMs));
  }

  #lend<T>(index: ShardIndex, deadlineMs: DeadlineMs, work: (connection: Connection) => Promise<T>): Promise<T> {
    const shard = this.#shards[index];
    if (shard === undefined) throw new RangeError(`there is no shard ${index}`);
    return shard.pool.lend(deadlineMs, work);
  }
}
