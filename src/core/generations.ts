import type { ShardIndex } from './nouns.ts';

/** How far a shard has come, in microseconds since 1970 by its own clock; it only grows. 0: nobody has moved it on yet. */
export type Generation = number;

/** What a shard shows that does not say how far it had come. */
export const NOTHING: Generation = 0;
/** What a shard shows while a state before is copied over it: it is in none of two states. */
export const HALF_COPIED = 1;
/** What a shard shows that an operator keeps gateways from. */
export const CLOSED = 2;
/** Shown instead of how far a shard has come: nobody may sell from it, whatever he knows. */
export type Mark = typeof HALF_COPIED | typeof CLOSED;
/** Written down beside the shards then: how far the marked one has come, and how far the state goes that is copied over it. */
export const SHOWED_BEFORE: ShardIndex = 65_535;
export const STATE_REACHED: ShardIndex = 65_534;

/** What one shard has written down: of itself and of the others. */
export type Reached = ReadonlyMap<ShardIndex, Generation>;

/** What a shard has written down of itself. */
export interface Shown {
  /** How far it has come, under its mark too. */
  readonly shows: Generation;
  readonly mark: Mark | null;
}

export function shownBy(reached: Reached, shard: ShardIndex): Shown {
  const shows = reached.get(shard) ?? NOTHING;
  return shows === HALF_COPIED || shows === CLOSED
    ? { shows: reached.get(SHOWED_BEFORE) ?? NOTHING, mark: shows }
    : { shows, mark: null };
}

/** A shard, and how far it was known to have come. */
export interface WentBack extends Shown {
  readonly had: Generation;
}

/** Whether a shard must not be sold from: it shows less than it had reached, or is marked. */
export function isRefused({ shows, had, mark }: WentBack): boolean {
  return mark !== null || shows < had;
}

/**
 * How far each shard is known to have come. A backup shows an earlier generation, and what was sold since then would be sold
 * again from it; whoever knows more than the shard itself must not sell there.
 */
export class Generations {
  readonly #known: Generation[];
  readonly #heard = new Set<ShardIndex>();

  constructor(shardCount: number) {
    this.#known = Array.from({ length: shardCount }, () => 0);
  }

  /** The furthest that a shard is known to have come. */
  known(shard: ShardIndex): Generation {
    return this.#known[shard] ?? 0;
  }

  /**
   * Learns from what a shard has written down.
   *
   * @param had what was known of it when it was asked: it may have been moved on, and told of, while it answered
   * @returns null when it is that far, or further
   */
  learn(shard: ShardIndex, reached: Reached, had: Generation): WentBack | null {
    this.#heard.add(shard);
    const shown = shownBy(reached, shard);
    for (const [other, generation] of new Map([...reached, [shard, shown.shows]])) {
      if (other < this.#known.length && generation > this.known(other)) this.#known[other] = generation;
    }
    const back = { ...shown, had };
    return isRefused(back) ? back : null;
  }

  /**
   * Whether a shard may be moved on. Moved on it no longer shows that it was restored, so half of the others must have said
   * first what they remember of it.
   */
  mayMove(shard: ShardIndex): boolean {
    const others = this.#known.length - 1;
    const heard = this.#heard.size - (this.#heard.has(shard) ? 1 : 0);
    return heard >= Math.ceil(others / 2);
  }

  /** What a shard is to write down of the others. */
  ofOthers(shard: ShardIndex): Reached {
    return new Map(
      this.#known.flatMap((generation, other) =>
        other === shard || generation === 0 ? [] : [[other, generation] as const],
      ),
    );
  }
}

/** The moment that a generation stands for. */
export function momentOf(generation: Generation): string {
  return generation === 0 ? 'before anything was written down' : new Date(Math.floor(generation / 1_000)).toISOString();
}
