import type { DeadlineMs, ShardIndex } from '../core/nouns.ts';
import type { NotDone, NotMine } from '../core/outcome.ts';
import type { SlotSource } from '../core/ports.ts';
import type { SlotMap } from '../core/slots.ts';

/** A shard that does not say what it owns within this time keeps what is known of it: it must not slow the others. */
const REFRESH_MS = 500;

/**
 * Keeps this gateway's slot map in step with the shards. Shards decide who owns what; the map only says whom to ask
 * first, so a stale one costs a question and nothing else.
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

  /** Asks every shard which slots it owns; who asks while a question is out shares its answer. */
  refresh(): Promise<void> {
    this.#reading ??= this.#readAll(performance.now() + REFRESH_MS).finally(() => (this.#reading = null));
    return this.#reading;
  }

  /**
   * Does something with the shards that own its SKUs; when one of them says "not mine", the map is read again and it is
   * done once more.
   *
   * @param work uses `map` to find the shards; "not mine" from it must mean that nothing was done
   */
  async onOwners<T>(work: (map: SlotMap) => Promise<T | NotMine>): Promise<T | NotDone> {
    const first = await work(this.map);
    if (!isNotMine(first)) return first;
    await this.refresh();
    const second = await work(this.map);
    return isNotMine(second) ? { is: 'not_done', reason: 'no shard says that it owns the slot' } : second;
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

function isNotMine<T>(answer: T | NotMine): answer is NotMine {
  return typeof answer === 'object' && answer !== null && (answer as Partial<NotMine>).is === 'not_mine';
}
