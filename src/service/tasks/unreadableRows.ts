import type { ShardIndex } from '../../core/types.ts';
import type { UnreadableKind, UnreadableRow } from '../../core/unreadableRow.ts';

/** A row that is not found again within this time is forgotten: it was repaired, or is no longer read. */
const REMEMBERED_MS = 300_000;
/** The largest number of remembered rows; further rows are neither counted nor logged until there is room. */
const ROWS_MAX = 1_000;

/** How many unreadable rows of one kind were found on a shard in the last five minutes. */
export interface UnreadableCount {
  readonly kind: UnreadableKind;
  readonly shard: ShardIndex;
  readonly count: number;
}

/** Remembers rows that cannot be read. Each row is counted, and is reported once while it is found repeatedly. */
export class UnreadableRows {
  readonly #onFound: (row: UnreadableRow) => void;
  readonly #nowMs: () => number;
  readonly #found = new Map<string, { readonly row: UnreadableRow; lastMs: number }>();

  /**
   * @param onFound called once for each row
   * @param nowMs the monotonic clock, in milliseconds
   */
  constructor(onFound: (row: UnreadableRow) => void, nowMs: () => number = () => performance.now()) {
    this.#onFound = onFound;
    this.#nowMs = nowMs;
  }

  /** Adds a row that was found, for the log and the counts. */
  add(row: UnreadableRow): void {
    const key = [row.kind, row.shard, row.row].join('\0');
    const known = this.#found.get(key);
    if (known !== undefined && known.lastMs > this.#nowMs() - REMEMBERED_MS) {
      known.lastMs = this.#nowMs();
      return;
    }
    if (known === undefined && this.#found.size >= ROWS_MAX) this.#forgetOld();
    if (known === undefined && this.#found.size >= ROWS_MAX) return;
    this.#found.set(key, { row, lastMs: this.#nowMs() });
    this.#onFound(row);
  }

  /** The counts of the last five minutes. A kind without rows on a shard has no entry. */
  counts(): readonly UnreadableCount[] {
    this.#forgetOld();
    const counts = new Map<string, UnreadableCount>();
    for (const {
      row: { kind, shard },
    } of this.#found.values()) {
      const key = `${kind} ${shard}`;
      counts.set(key, { kind, shard, count: (counts.get(key)?.count ?? 0) + 1 });
    }
    return [...counts.values()];
  }

  #forgetOld(): void {
    const sinceMs = this.#nowMs() - REMEMBERED_MS;
    for (const [key, { lastMs }] of this.#found) if (lastMs <= sinceMs) this.#found.delete(key);
  }
}
