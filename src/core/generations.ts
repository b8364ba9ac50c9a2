import type { ShardIndex } from './nouns.ts';

/** How far a shard has come, in microseconds since 1970 by its own clock; it only grows. 0: nobody has moved it on yet. */
export type Generation = number;

/** What a shard shows that does not say how far it had come. */
export const NOTHING: Generation = 0;
/** What a shard shows while a state before is copied over it: it is in none of two states, and nobody may sell from it, whatever he knows. */
export const HALF_COPIED: Generation = 1;
/** Written down beside the shards then: what it showed before, and how far that state goes. */
export const SHOWED_BEFORE: ShardIndex = 65_535;
export const STATE_REACHED: ShardIndex = 65_534;

/** What one shard has written down: of itself and of the others. */
export type Reached = ReadonlyMap<ShardIndex, Generation>;

/** A shard shows an earlier state than it was known to have reached. */
export interface WentBack {
  /** What it shows. */
  readonly shows: Generation;
  /** What it had reached. */
  readonly had: Generation;
}

/** Whether a shard must not be sold from. */
export function isBack({ shows, had }: WentBack): boolean {
  return shows < had || shows === HALF_COPIED;
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
    const shows = reached.get(shard) ?? 0;
    for (const [other, generation] of reached) {
      if (other < this.#known.length && generation > this.known(other)) this.#known[other] = generation;
    }
    return isBack({ shows, had }) ? { shows, had } : null;
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
    return new Map(this.#known.flatMap((generation, other) => (other === shard || generation === 0 ? [] : [[other, generation] as const])));
  }
}

/** The moment that a generation stands for. */
export function momentOf(generation: Generation): string {
  return generation === 0 ? 'before anything was written down' : new Date(Math.floor(generation / 1_000)).toISOString();
}
