import type { ShardIndex } from '../../core/types.ts';
import { isProgramFault } from '../../core/programFault.ts';
import { errorText } from '../../core/text/errorText.ts';

/** Rows that are named in one report. */
const ROWS_NAMED = 20;

/**
 * The shards that could not be read in one pass, each with the first reason. Their rows are not judged. A report of the
 * pass must name them, because an unread shard may have differences.
 */
export class ReadFailures {
  readonly #reasons = new Map<ShardIndex, string>();
  readonly #rows = new Map<ShardIndex, string[]>();

  /** Why a shard could not be read, for operators; null: it was read, except for single rows. */
  failureOf(shard: ShardIndex): string | null {
    return this.#reasons.get(shard) ?? null;
  }

  /** Whether some shard could not be read, so that differences may be missing. */
  get areAny(): boolean {
    return this.#reasons.size > 0;
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

  /** Why some shard, or some row, could not be read, for operators; null: all was read. */
  firstReason(): string | null {
    for (const shard of [...this.#reasons.keys(), ...this.#rows.keys()]) return this.reasonOf(shard);
    return null;
  }

  /** Adds a row that cannot be read. The other rows of the shard are still read. @param row its ids and its fault */
  addRow(shard: ShardIndex, row: string): void {
    this.#rows.set(shard, [...this.rowsOf(shard), row]);
  }

  /**
   * Reads for the report of the shard itself, also when earlier reads failed.
   *
   * @returns null when the shard could not be read; the reason is kept
   * @throws a fault of this program, which says nothing about the shard
   */
  async tryRead<T>(shard: ShardIndex, read: () => Promise<T>): Promise<T | null> {
    try {
      return await read();
    } catch (error) {
      if (isProgramFault(error)) throw error;
      if (!this.#reasons.has(shard)) this.#reasons.set(shard, errorText(error));
      return null;
    }
  }

  /**
   * Reads for the report of another shard. A shard that failed is not read again: each try may take as long as a
   * connection attempt.
   */
  async readUnlessFailed<T>(shard: ShardIndex, read: () => Promise<T>): Promise<T | null> {
    return this.#reasons.has(shard) ? null : await this.tryRead(shard, read);
  }
}
