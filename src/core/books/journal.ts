import { compareIdentifiers } from '../identifier.ts';
import type { Hold, ShardIndex } from '../types.ts';

/** Entries on one page, at most. */
export const ENTRIES_LIMIT = 500;

/** The tables of a journal. Entries of the same microsecond are listed in this order, newest first. */
export const JOURNALS = ['return', 'flow', 'adjustment'] as const;

/**
 * Flows read beyond the entries of a page, so that flows without an effect do not make the page short. Every return and
 * every adjustment has an effect.
 */
const SPARE_FLOWS = 100;

/** The position of an entry in the journal of its SKU. It never changes while the entry has an effect. */
export interface JournalPosition {
  /** ISO 8601 in UTC with microseconds, by the clock of the shard. */
  readonly created_at: string;
  readonly journal: (typeof JOURNALS)[number];
  /** The entry's key within its table and SKU. The second id is empty where the key has only one. */
  readonly ids: readonly [string, string];
}

/** One change of the units left of a SKU. */
export interface JournalEntry {
  readonly kind: 'deduction' | 'return' | 'cancellation' | 'adjustment' | 'opening';
  /** Units, without a sign. */
  readonly quantity: number;
  /** Units added to `leaved_amount`; below 0: units taken. */
  readonly effect: number;
  readonly created_at: string;
  readonly order_id?: string;
  readonly order_detail_id?: string;
  readonly return_id?: string;
  readonly adjustment_id?: string;
  readonly reason?: string | null;
}

/**
 * A row of one of the journal's tables. `entry` is null for a row without an effect: an undone hold, an undecided hold,
 * or a tombstone.
 */
export interface JournalRow {
  readonly position: JournalPosition;
  readonly entry: JournalEntry | null;
}

/** Some entries of a SKU, newest first. */
export interface JournalPage {
  readonly entries: readonly JournalEntry[];
  /** The position after which the next page begins; null: there is no next page. */
  readonly next: JournalPosition | null;
}

/** The journal of a SKU in the tables of one shard, from some position on. */
export interface JournalRead {
  /** The rows of each table, newest first. Fewer than were requested means that there are no more. */
  readonly journals: readonly (readonly JournalRow[])[];
  /** Null where the SKU was not opened. */
  readonly opening: JournalEntry | null;
  /** All shards on which the SKU has or had rows, if it is or was split. */
  readonly shards: readonly ShardIndex[];
  /**
   * The holds of the SKU, ordered by order detail. The carts of some may be decided. Fewer than were requested means
   * that there are no more.
   */
  readonly holds: readonly Hold[];
}

/** Rows that are read from a table for a page of `limit` entries, at most. */
export function rowsMaxOf(journal: JournalPosition['journal'], limit: number): number {
  return journal === 'flow' ? limit + SPARE_FLOWS : limit;
}

/**
 * Makes a page out of the rows that were read from each table, at most `rowsMaxOf` rows each. The page ends after
 * `limit` entries, or at the last row read from a table that has more rows. In that case the page is shorter, and a
 * next page exists all the same.
 */
export function cutPage({ journals, opening }: Pick<JournalRead, 'journals' | 'opening'>, limit: number): JournalPage {
  const rows = journals.flat().sort(newestFirst);
  const ends = journals.flatMap((journal) =>
    journal.slice(-1).filter(({ position }) => journal.length >= rowsMaxOf(position.journal, limit)),
  );
  const [end] = ends.sort(newestFirst);
  const known = end === undefined ? rows : rows.slice(0, rows.indexOf(end) + 1);
  const entries: JournalEntry[] = [];
  let next: JournalPosition | null = null;
  for (const { position, entry } of known) {
    if (entries.length === limit) return { entries, next };
    if (entry !== null) entries.push(entry);
    next = position;
  }
  if (end !== undefined || entries.length === limit) return { entries, next };
  return { entries: [...entries, ...(opening === null ? [] : [opening])], next: null };
}

function newestFirst({ position: a }: JournalRow, { position: b }: JournalRow): number {
  if (a.created_at !== b.created_at) return a.created_at < b.created_at ? 1 : -1;
  if (a.journal !== b.journal) return JOURNALS.indexOf(a.journal) - JOURNALS.indexOf(b.journal);
  return compareIdentifiers(b.ids[0], a.ids[0]) || compareIdentifiers(b.ids[1], a.ids[1]);
}
