import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { NotDone, WrongShard } from '../../core/outcome.ts';
import type { SlotSource } from '../../core/ports/slotSource.ts';
import type { SlotMap } from '../../core/slots.ts';

/**
 * The longest wait for the slots of a shard. After it, the map keeps the shard's earlier slots, so that it delays no
 * other.
 */
const REFRESH_MS = 500;

/**
 * Keeps this gateway's slot map up to date. The shards decide which of them owns a slot. The map only selects the shard
 * that is asked first, so a stale map costs one more request and nothing else.
 */
export class Routing {
  readonly map: SlotMap;
  readonly #source: SlotSource;
  readonly #shardCount: number;
  #reading: Promise<void> | null = null;

  constructor(map: SlotMap, source: SlotSource, shardCount: number) {
    this.map = map;
    this.#source = source;
    this.#shardCount = shardCount;
  }

  /** Reads the slots of every shard. Calls that come while a read is under way share it. */
  refresh(): Promise<void> {
    this.#reading ??= this.#readAll(performance.now() + REFRESH_MS).finally(() => (this.#reading = null));
    return this.#reading;
  }

  /**
   * Runs `work` on the shards that own its SKUs. When one of them does not own the slot, the map is read again, and
   * `work` runs once more.
   *
   * @param work uses `map` to find the shards; when it returns `not_mine`, it must have done nothing
   */
  async onOwners<T>(work: (map: SlotMap) => Promise<T | WrongShard>): Promise<T | NotDone> {
    const first = await work(this.map);
    if (!isNotMine(first)) return first;
    await this.refresh();
    const second = await work(this.map);
    return isNotMine(second) ? { is: 'not_done', reason: 'no shard reports that it owns the slot' } : second;
  }

  async #readAll(deadlineMs: DeadlineMs): Promise<void> {
    const shards = Array.from({ length: this.#shardCount }, (_, shard): ShardIndex => shard);
    await Promise.all(
      shards.map(async (shard) => {
        const claims = await this.#source.readSlots(shard, deadlineMs);
        if (claims !== null) this.map.learn(shard, claims);
      }),
    );
  }
}

function isNotMine<T>(answer: T | WrongShard): answer is WrongShard {
  return typeof answer === 'object' && answer !== null && (answer as Partial<WrongShard>).is === 'not_mine';
}
