import type { ShardIndex } from '../core/nouns.ts';

/**
 * The shards that could not be read in one look, each with the first reason. What lies on them is not judged, and whoever
 * reports the look must name them: what was not read is not as it should be.
 */
export class Unread {
  readonly #reasons = new Map<ShardIndex, string>();

  /** Why a shard could not be read, for operators; null: it could. */
  reasonOf(shard: ShardIndex): string | null {
    return this.#reasons.get(shard) ?? null;
  }

  /** Reads for a shard's own report, whatever became of earlier reads. @returns null when it could not be read, which is noted */
  async insist<T>(shard: ShardIndex, read: () => Promise<T>): Promise<T | null> {
    try {
      return await read();
    } catch (error) {
      if (!this.#reasons.has(shard)) this.#reasons.set(shard, error instanceof Error ? error.message : String(error));
      return null;
    }
  }

  /** The same for what others want of it: it is not asked again when it failed, as each time may take as long as a connection. */
  async read<T>(shard: ShardIndex, read: () => Promise<T>): Promise<T | null> {
    return this.#reasons.has(shard) ? null : await this.insist(shard, read);
  }
}
