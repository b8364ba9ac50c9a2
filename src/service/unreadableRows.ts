import type { ShardIndex } from '../core/nouns.ts';
import type { UnreadableKind, UnreadableRow } from '../core/unreadable.ts';

/** A row that is not found again for this time is forgotten: it was repaired, or nothing looks for it any more. */
const REMEMBERED_MS = 300_000;
/** Rows that are remembered; further ones are neither counted nor logged until there is room. */
const ROWS_MAX = 1_000;

/** How many unreadable rows of one kind were found on a shard lately. */
export interface UnreadableCount {
  readonly kind: UnreadableKind;
  readonly shard: ShardIndex;
  readonly count: number;
}

/** Remembers rows that cannot be read: each is reported once while it is found again and again, and all are counted. */
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

  /** Notes that a row was found, for the log and the counts. */
  note(row: UnreadableRow): void {
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

  /** Rows that were found in the last five minutes. A kind without any on a shard is missing. */
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
