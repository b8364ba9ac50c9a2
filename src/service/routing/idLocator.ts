import { RowsUnavailable } from '../../core/ports/hotRows.ts';
import type { ExistingId, HotRows } from '../../core/ports/hotRows.ts';
import { flowKeyText } from '../../core/types.ts';
import type { DeadlineMs, FlowKey, ShardIndex } from '../../core/types.ts';

/**
 * The most ids in one read. Each id has two values, and MariaDB makes no index ranges of a list with a thousand values.
 */
const KEYS_MAX = 400;

interface LookUp {
  readonly key: FlowKey;
  readonly deadlineMs: DeadlineMs;
  resolve(found: ExistingId | null): void;
  reject(error: unknown): void;
}

/** Looks ids up on shards. Look-ups on one shard that come at the same time share one read. */
export class IdLocator {
  readonly #rows: HotRows;
  readonly #waiting = new Map<ShardIndex, LookUp[]>();

  constructor(rows: HotRows) {
    this.#rows = rows;
  }

  /**
   * @returns the shard where the flow lies, or null when there is no flow under the ids on this shard
   * @throws RowsUnavailable when the shard does not answer before the deadline
   */
  find(shard: ShardIndex, key: FlowKey, deadlineMs: DeadlineMs): Promise<ExistingId | null> {
    return new Promise((resolve, reject) => {
      // A shared read lasts until the latest deadline of its look-ups. The others must not wait that long.
      const giveUp = (): void =>
        reject(new RowsUnavailable('the shard of the line in an earlier layout did not answer in time'));
      const timer = setTimeout(giveUp, Math.max(0, deadlineMs - performance.now()));
      const lookUp: LookUp = {
        key,
        deadlineMs,
        resolve: (found) => (clearTimeout(timer), resolve(found)),
        reject: (error) => (clearTimeout(timer), reject(error instanceof Error ? error : new Error(String(error)))),
      };
      const waiting = this.#waiting.get(shard);
      if (waiting !== undefined) return void waiting.push(lookUp);
      this.#waiting.set(shard, [lookUp]);
      setImmediate(() => this.#read(shard));
    });
  }

  #read(shard: ShardIndex): void {
    const waiting = this.#waiting.get(shard) ?? [];
    this.#waiting.delete(shard);
    for (let first = 0; first < waiting.length; first += KEYS_MAX)
      void this.#readSome(shard, waiting.slice(first, first + KEYS_MAX));
  }

  async #readSome(shard: ShardIndex, some: readonly LookUp[]): Promise<void> {
    try {
      const found = await this.#rows.findExisting(
        shard,
        some.map(({ key }) => key),
        Math.max(...some.map(({ deadlineMs }) => deadlineMs)),
      );
      const byKey = new Map(found.map((each) => [flowKeyText(each), each]));
      for (const { key, resolve } of some) resolve(byKey.get(flowKeyText(key)) ?? null);
    } catch (error) {
      for (const { reject } of some) reject(error);
    }
  }
}
