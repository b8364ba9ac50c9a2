import type { ShardIndex } from '../types.ts';

/**
 * A watermark: the moment that a shard has reached, in microseconds since 1970 by the shard's clock. It only grows.
 * 0: no gateway has advanced it yet.
 */
export type Watermark = number;

/** The watermark of a shard that has none. */
export const NO_WATERMARK: Watermark = 0;
/** Stored in place of the watermark while a reference copy is copied over the shard: its rows are of two states. */
export const MARK_COPYING = 1;
/** Stored in place of the watermark of a shard that an operator has closed. */
export const MARK_CLOSED = 2;
/**
 * Stored in place of a watermark. No gateway may sell from a marked shard, even if it has recorded no higher watermark.
 */
export type Mark = typeof MARK_COPYING | typeof MARK_CLOSED;
/**
 * Two keys in the watermark table of a marked shard, beside the indexes of the shards: the watermark of the shard
 * itself, and the watermark of the reference copy that is copied over it.
 */
export const OWN_WATERMARK_KEY: ShardIndex = 65_535;
export const REFERENCE_WATERMARK_KEY: ShardIndex = 65_534;

/** The watermarks that one shard stores: its own and those of the other shards. */
export type StoredWatermarks = ReadonlyMap<ShardIndex, Watermark>;

/** The watermark and the mark that a shard stores of itself. */
export interface OwnWatermark {
  /** Its watermark. A marked shard has one too. */
  readonly watermark: Watermark;
  readonly mark: Mark | null;
}

export function ownWatermarkOf(reached: StoredWatermarks, shard: ShardIndex): OwnWatermark {
  const shows = reached.get(shard) ?? NO_WATERMARK;
  return shows === MARK_COPYING || shows === MARK_CLOSED
    ? { watermark: reached.get(OWN_WATERMARK_KEY) ?? NO_WATERMARK, mark: shows }
    : { watermark: shows, mark: null };
}

/** The watermark that a shard shows, and the watermark `watermarkBefore` that it was known to have reached. */
export interface RestoredWatermark extends OwnWatermark {
  readonly watermarkBefore: Watermark;
}

/** Whether no gateway may sell from a shard: it is marked, or shows a lower watermark than it had reached. */
export function isUnsellable({ watermark, watermarkBefore, mark }: RestoredWatermark): boolean {
  return mark !== null || watermark < watermarkBefore;
}

/**
 * The highest watermark known of each shard. A shard that was restored from a backup shows an earlier one, and units
 * sold since then would be sold from it again. So a gateway that has recorded a higher watermark must not sell from the
 * shard.
 */
export class KnownWatermarks {
  readonly #known: Watermark[];
  readonly #reported = new Set<ShardIndex>();

  constructor(shardCount: number) {
    this.#known = Array.from({ length: shardCount }, () => 0);
  }

  /** The highest watermark known of a shard. */
  known(shard: ShardIndex): Watermark {
    return this.#known[shard] ?? 0;
  }

  /**
   * Records the watermarks that a shard stores.
   *
   * @param reached the watermarks that the shard answered with
   * @param watermarkBefore the watermark of the shard that was known when the question was sent. While the answer was
   *   on its way, another gateway may have advanced the shard, and another shard may have reported the new watermark.
   * @returns null when the shard has no mark and shows `watermarkBefore` or a higher watermark
   */
  learn(shard: ShardIndex, reached: StoredWatermarks, watermarkBefore: Watermark): RestoredWatermark | null {
    this.#reported.add(shard);
    const shown = ownWatermarkOf(reached, shard);
    for (const [other, generation] of new Map([...reached, [shard, shown.watermark]])) {
      if (other < this.#known.length && generation > this.known(other)) this.#known[other] = generation;
    }
    const back = { ...shown, watermarkBefore };
    return isUnsellable(back) ? back : null;
  }

  /**
   * Whether the watermark of a shard may be advanced. After that the shard no longer shows that it was restored. So at
   * least half of the other shards must have reported their watermarks first.
   */
  mayAdvance(shard: ShardIndex): boolean {
    const others = this.#known.length - 1;
    const reported = this.#reported.size - (this.#reported.has(shard) ? 1 : 0);
    return reported >= Math.ceil(others / 2);
  }

  /** The watermarks of the other shards, for a shard to store. */
  ofOthers(shard: ShardIndex): StoredWatermarks {
    return new Map(
      this.#known.flatMap((watermark, other) =>
        other === shard || watermark === 0 ? [] : [[other, watermark] as const],
      ),
    );
  }
}

/** A watermark as text. */
export function watermarkText(watermark: Watermark): string {
  return watermark === 0
    ? 'the beginning (no watermark is stored)'
    : new Date(Math.floor(watermark / 1_000)).toISOString();
}
