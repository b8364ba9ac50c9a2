import { cutPage } from '../../core/books/journal.ts';
import type { JournalPage, JournalPosition, JournalRead } from '../../core/books/journal.ts';
import type { DeadlineMs, FoundHold } from '../../core/types.ts';
import type { NotDone } from '../../core/outcome.ts';
import type { FoundJournal, JournalReader } from '../../core/ports/journalReader.ts';
import { completeHoldsByCart } from '../carts/completeHolds.ts';
import type { ServicePorts } from '../servicePorts.ts';

/** Holds whose carts are resolved at a time. */
const HOLDS_MAX = 100;

export interface FlowsQuery {
  readonly sku_id: string;
  /** The largest number of entries; at least 1. */
  readonly limit: number;
  /** The last position of the previous page; null: the first page. */
  readonly after: JournalPosition | null;
}

/** A page of a SKU's journal; null for an unknown SKU. */
export interface FoundFlowsPage {
  readonly is: 'found';
  readonly page: JournalPage | null;
}

/**
 * Reads a page of a SKU's journal, newest first. The page has every sale that was answered before the request, so the
 * holds of decided carts are completed first. Later pages skip no entry and repeat none while new entries arrive.
 *
 * @returns `not_done` also when the record of a cart that holds the SKU cannot be read: the cart may be sold
 */
export async function readFlows(
  ports: ServicePorts & { readonly journal: JournalReader },
  query: FlowsQuery,
  deadlineMs: DeadlineMs,
): Promise<FoundFlowsPage | NotDone> {
  for (let holdsAfter = ''; ;) {
    const found = await readAll(ports, query, holdsAfter, deadlineMs);
    if (found.is === 'not_done') return found;
    const { journals, opening, holds, holdsReadTo } = found;
    if (opening === null) return { is: 'found', page: null };
    const completion = await completeHoldsByCart(ports, holds, deadlineMs);
    if (completion.has('unreachable')) return { is: 'not_done', reason: 'the record of a cart could not be read' };
    if (!completion.has('settled') && holdsReadTo === null)
      return { is: 'found', page: cutPage({ journals, opening }, query.limit) };
    // A cart that is open now was open at the request too, and need not be read again.
    holdsAfter = holdsReadTo ?? '';
  }
}

/** The journals of all shards where the SKU has or had rows, combined into one. */
interface AllJournals {
  readonly is: 'read';
  readonly journals: JournalRead['journals'];
  readonly opening: JournalRead['opening'];
  readonly holds: readonly FoundHold[];
  /** All holds up to this order detail were read; null: all holds were read. */
  readonly holdsReadTo: string | null;
}

async function readAll(
  ports: ServicePorts & { readonly journal: JournalReader },
  query: FlowsQuery,
  holdsAfter: string,
  deadlineMs: DeadlineMs,
): Promise<AllJournals | NotDone> {
  const { sku_id } = query;
  const request = { ...query, holdsAfter, holdsMax: HOLDS_MAX };
  const first = await ports.routing.onOwners<FoundJournal | NotDone>((map) =>
    ports.journal.readJournal(map.shardOf(sku_id), { ...request, isAnyShard: false }, deadlineMs),
  );
  if (first.is === 'not_done') return first;
  const owner = ports.routing.map.shardOf(sku_id);
  const others = first.read.shards.filter((shard) => shard !== owner);
  const answers = await Promise.all(
    others.map(async (shard) => ({
      shard,
      answer: await ports.journal.readJournal(shard, { ...request, isAnyShard: true }, deadlineMs),
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
    holdsReadTo: ends.length === 0 ? null : ends.reduce((least, end) => (end < least ? end : least)),
  };
}
