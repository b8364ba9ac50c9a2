import { compareIdentifiers } from './identifier.ts';
import type { Hold, ShardIndex } from './nouns.ts';

/** Entries on one page, at most. */
export const ENTRIES_LIMIT = 500;

/** The tables of a journal, in the order in which entries of one microsecond are told: newest first. */
export const JOURNALS = ['return', 'flow', 'adjustment'] as const;

/** Flows read beyond the entries of a page, so that those without an effect do not make it short. Returns and adjustments all have one. */
const SPARE_FLOWS = 100;

/** Where an entry stands among those of its SKU. It never changes while the entry has an effect. */
export interface JournalPosition {
  /** ISO 8601 in UTC with microseconds, by the clock of the shard. */
  readonly created_at: string;
  readonly journal: (typeof JOURNALS)[number];
  /** The entry's key within its table and SKU; the second is empty where there is one only. */
  readonly ids: readonly [string, string];
}

/** One change of what is left of a SKU. */
export interface JournalEntry {
  readonly kind: 'deduction' | 'return' | 'cancellation' | 'adjustment' | 'opening';
  /** Units, without a sign. */
  readonly quantity: number;
  /** What it added to `leaved_amount`; below 0 where it took. */
  readonly effect: number;
  readonly created_at: string;
  readonly order_id?: string;
  readonly order_detail_id?: string;
  readonly return_id?: string;
  readonly adjustment_id?: string;
  readonly reason?: string | null;
}

/** A row of a journal's table; `entry` is null where it has no effect: undone holds, undecided ones, tombstones. */
export interface JournalRow {
  readonly position: JournalPosition;
  readonly entry: JournalEntry | null;
}

/** Some entries of a SKU, newest first. */
export interface JournalPage {
  readonly entries: readonly JournalEntry[];
  /** Where to go on, or null at the end. */
  readonly next: JournalPosition | null;
}

/** What a shard's tables say of a SKU's journal from some position on. */
export interface JournalRead {
  /** Per table its rows, newest first; fewer than were asked for means that there are no more. */
  readonly journals: readonly (readonly JournalRow[])[];
  /** Null where the SKU was not opened. */
  readonly opening: JournalEntry | null;
  /** Of a SKU that is or was split: all shards on which it has or had rows. */
  readonly shards: readonly ShardIndex[];
  /** What carts hold of the SKU, by order detail; some of them may be decided. Fewer than were asked for means that there are no more. */
  readonly holds: readonly Hold[];
}

/** How many rows of a table are read for a page of `limit` entries. */
export function rowsMaxOf(journal: JournalPosition['journal'], limit: number): number {
  return journal === 'flow' ? limit + SPARE_FLOWS : limit;
}

/**
 * Cuts a page out of what was read of each table, up to `rowsMaxOf` rows. It ends with `limit` entries, or where one of the
 * tables was not read on; then it is shorter and there is a next one all the same.
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
