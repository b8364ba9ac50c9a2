import { cutPage } from '../core/journal.ts';
import type { JournalPage, JournalPosition } from '../core/journal.ts';
import type { DeadlineMs } from '../core/nouns.ts';
import type { NotDone } from '../core/outcome.ts';
import type { FoundJournal, JournalReader } from '../core/ports.ts';
import { freeHolds } from './freeHolds.ts';
import type { Parts } from './parts.ts';

/** Read beyond the limit of a page, so that rows without an effect do not make it short. */
const SPARE_ROWS = 100;

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
 * Reads a page of a SKU's journal, newest first. Carts that are decided are settled before the first page, so whatever
 * was answered as sold is in it, and later pages skip nothing and show nothing twice while new entries arrive.
 */
export async function readFlows(
  parts: Parts & { readonly journal: JournalReader },
  query: FlowsQuery,
  deadlineMs: DeadlineMs,
): Promise<FoundFlowsPage | NotDone> {
  const first = await read(parts, query, deadlineMs);
  const holds = first.is === 'found' && query.after === null ? (first.read?.holds ?? []) : [];
  const found = holds.length > 0 && (await freeHolds(parts, holds, deadlineMs)) === 'settled' ? await read(parts, query, deadlineMs) : first;
  if (found.is !== 'found') return found;
  return { is: 'found', page: found.read === null ? null : cutPage(found.read, query.limit, rowsMaxOf(query)) };
}

function read({ routing, journal }: Parts & { readonly journal: JournalReader }, query: FlowsQuery, deadlineMs: DeadlineMs): Promise<FoundJournal | NotDone> {
  return routing.onOwners<FoundJournal | NotDone>((map) =>
    journal.readJournal(map.shardOf(query.sku_id), { sku_id: query.sku_id, after: query.after, rowsMax: rowsMaxOf(query) }, deadlineMs),
  );
}

function rowsMaxOf({ limit }: FlowsQuery): number {
  return limit + SPARE_ROWS;
}
