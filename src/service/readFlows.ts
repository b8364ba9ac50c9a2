import { cutPage } from '../core/journal.ts';
import type { JournalPage, JournalPosition } from '../core/journal.ts';
import type { DeadlineMs } from '../core/nouns.ts';
import type { NotDone } from '../core/outcome.ts';
import type { FoundJournal, JournalReader } from '../core/ports.ts';
import { freeEach } from './freeHolds.ts';
import type { Parts } from './parts.ts';

/** Read beyond the limit of a page, so that rows without an effect do not make it short. */
const SPARE_ROWS = 100;
/** Holds whose carts are asked for at a time. */
const HOLDS_MAX = 100;

export interface FlowsQuery {
  readonly sku_id: string;
  /** Entries, at most; from 1. */
  readonly limit: number;
  /** The last position of the page before; null: the first page. */
  readonly after: JournalPosition | null;
}

/** A page of a SKU's journal; null for an unknown SKU. */
export interface FoundFlowsPage {
  readonly is: 'found';
  readonly page: JournalPage | null;
}

/**
 * Reads a page of a SKU's journal, newest first. Whatever was answered as sold before it was asked for is in it, so carts
 * that are decided are settled first; later pages skip nothing and show nothing twice while new entries arrive.
 *
 * @returns `not_done` also when the record of a cart that holds the SKU cannot be asked: nobody knows whether it is sold
 */
export async function readFlows(
  parts: Parts & { readonly journal: JournalReader },
  query: FlowsQuery,
  deadlineMs: DeadlineMs,
): Promise<FoundFlowsPage | NotDone> {
  for (let holdsAfter = ''; ; ) {
    const found = await read(parts, query, holdsAfter, deadlineMs);
    if (found.is !== 'found') return found;
    if (found.read === null) return { is: 'found', page: null };
    const { holds } = found.read;
    const freed = await freeEach(parts, holds, deadlineMs);
    if (freed.has('unreachable')) return { is: 'not_done', reason: 'the record of a cart could not be asked' };
    if (!freed.has('settled') && holds.length < HOLDS_MAX) return { is: 'found', page: cutPage(found.read, query.limit, rowsMaxOf(query)) };
    // Those that are open now were so when the page was asked for, and need not be asked again.
    holdsAfter = holds.at(-1)?.order_detail_id ?? '';
  }
}

function read(
  { routing, journal }: Parts & { readonly journal: JournalReader },
  query: FlowsQuery,
  holdsAfter: string,
  deadlineMs: DeadlineMs,
): Promise<FoundJournal | NotDone> {
  const { sku_id, after } = query;
  return routing.onOwners<FoundJournal | NotDone>((map) =>
    journal.readJournal(map.shardOf(sku_id), { sku_id, after, rowsMax: rowsMaxOf(query), holdsAfter, holdsMax: HOLDS_MAX }, deadlineMs),
  );
}

function rowsMaxOf({ limit }: FlowsQuery): number {
  return limit + SPARE_ROWS;
}
