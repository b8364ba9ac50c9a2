import type { ShardIndex } from '../core/nouns.ts';
import { isProgramFault } from '../core/programFault.ts';

/** Rows that are named in one report. */
const ROWS_NAMED = 20;

/**
 * The shards that could not be read in one look, each with the first reason. What lies on them is not judged, and whoever
 * reports the look must name them: what was not read is not as it should be.
 */
export class Unread {
  readonly #reasons = new Map<ShardIndex, string>();
  readonly #rows = new Map<ShardIndex, string[]>();

  /** Why a shard could not be read, for operators; null: it could, but for single rows. */
  failureOf(shard: ShardIndex): string | null {
    return this.#reasons.get(shard) ?? null;
  }

  /** The rows of a shard that cannot be read. */
  rowsOf(shard: ShardIndex): readonly string[] {
    return this.#rows.get(shard) ?? [];
  }

  /** Why a shard, or some row on it, could not be read, for operators; null: all was read. */
  reasonOf(shard: ShardIndex): string | null {
    const reason = this.failureOf(shard);
    if (reason !== null) return reason;
    const rows = this.rowsOf(shard);
    if (rows.length === 0) return null;
    const others = rows.length > ROWS_NAMED ? `; and ${rows.length - ROWS_NAMED} more` : '';
    const count = rows.length === 1 ? 'one row' : `${rows.length} rows`;
    return `${count} cannot be read: ${rows.slice(0, ROWS_NAMED).join('; ')}${others}`;
  }

  /** Notes a row that cannot be read. The shard is read on. @param row its ids and its fault */
  note(shard: ShardIndex, row: string): void {
    this.#rows.set(shard, [...this.rowsOf(shard), row]);
  }

  /**
   * Reads for a shard's own report, whatever became of earlier reads.
   *
   * @returns null when it could not be read, which is noted
   * @throws a fault of this program: it says nothing about the shard
   */
  async insist<T>(shard: ShardIndex, read: () => Promise<T>): Promise<T | null> {
    try {
      return await read();
    } catch (error) {
      if (isProgramFault(error)) throw error;
      if (!this.#reasons.has(shard)) this.#reasons.set(shard, error instanceof Error ? error.message : String(error));
      return null;
    }
  }

  /** The same for what others want of it: it is not asked again when it failed, as each time may take as long as a connection. */
  async read<T>(shard: ShardIndex, read: () => Promise<T>): Promise<T | null> {
    return this.#reasons.has(shard) ? null : await this.insist(shard, read);
  }
}
