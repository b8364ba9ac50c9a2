import { cutPage } from '../core/journal.ts';
import type { JournalPage, JournalPosition, JournalRead } from '../core/journal.ts';
import type { DeadlineMs, FoundHold } from '../core/nouns.ts';
import type { NotDone } from '../core/outcome.ts';
import type { FoundJournal, JournalReader } from '../core/ports.ts';
import { freeEach } from './freeHolds.ts';
import type { Parts } from './parts.ts';

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
  for (let holdsAfter = ''; ;) {
    const found = await readAll(parts, query, holdsAfter, deadlineMs);
    if (found.is === 'not_done') return found;
    const { journals, opening, holds, fullTo } = found;
    if (opening === null) return { is: 'found', page: null };
    const freed = await freeEach(parts, holds, deadlineMs);
    if (freed.has('unreachable')) return { is: 'not_done', reason: 'the record of a cart could not be asked' };
    if (!freed.has('settled') && fullTo === null)
      return { is: 'found', page: cutPage({ journals, opening }, query.limit) };
    // Those that are open now were so when the page was asked for, and need not be asked again.
    holdsAfter = fullTo ?? '';
  }
}

/** The journals of all shards where the SKU has or had rows, as if they were one. */
interface AllJournals {
  readonly is: 'read';
  readonly journals: JournalRead['journals'];
  readonly opening: JournalRead['opening'];
  readonly holds: readonly FoundHold[];
  /** Up to which order detail all holds are known; null: there are no more. */
  readonly fullTo: string | null;
}

async function readAll(
  parts: Parts & { readonly journal: JournalReader },
  query: FlowsQuery,
  holdsAfter: string,
  deadlineMs: DeadlineMs,
): Promise<AllJournals | NotDone> {
  const { sku_id } = query;
  const asked = { ...query, holdsAfter, holdsMax: HOLDS_MAX };
  const first = await parts.routing.onOwners<FoundJournal | NotDone>((map) =>
    parts.journal.readJournal(map.shardOf(sku_id), { ...asked, isBesides: false }, deadlineMs),
  );
  if (first.is === 'not_done') return first;
  const owner = parts.routing.map.shardOf(sku_id);
  const others = first.read.shards.filter((shard) => shard !== owner);
  const answers = await Promise.all(
    others.map(async (shard) => ({
      shard,
      answer: await parts.journal.readJournal(shard, { ...asked, isBesides: true }, deadlineMs),
    })),
  );
  const reads = [{ shard: owner, read: first.read }];
  for (const { shard, answer } of answers) {
    if (answer.is !== 'found') return { is: 'not_done', reason: 'a shard with rows of the SKU could not be read' };
    reads.push({ shard, read: answer.read });
  }
  const ends = reads.flatMap(({ read: { holds } }) =>
    holds.length < HOLDS_MAX ? [] : [holds.at(-1)?.order_detail_id ?? ''],
  );
  return {
    is: 'read',
    journals: reads.flatMap(({ read }) => read.journals),
    opening: first.read.opening,
    holds: reads.flatMap(({ shard, read }) => read.holds.map((hold) => ({ ...hold, shard }))),
    fullTo: ends.length === 0 ? null : ends.reduce((least, end) => (end < least ? end : least)),
  };
}
