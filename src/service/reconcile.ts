import type { DeadlineMs, ShardIndex } from '../core/nouns.ts';
import type { NotDone } from '../core/outcome.ts';
import type { Auditor, StockReader } from '../core/ports.ts';
import { seenTwice } from '../core/reconciliation.ts';
import type { ShardAudit, ShelfDifference } from '../core/reconciliation.ts';
import { followAgain, followCarts, followHolds } from './followCarts.ts';
import { pause } from './freeHolds.ts';
import { inWidth } from './inWidth.ts';
import { repair } from './repair.ts';
import type { Repair } from './repair.ts';
import type { Routing } from './routing.ts';
import { Unread } from './unread.ts';

/** Shards that are added up at once: it is work for their servers, and there is no hurry. */
const WIDTH = 4;
/** Between the two looks. What was under way at the first is over by then. */
const PAUSE_MS = 1_000;
/** More SKUs than this are not looked at one by one again, but all of the shard's. */
const SKUS_AGAIN_MAX = 500;
/** Reading one SKU, or adding up its journal while its row is locked. */
const ONE_SKU_MS = 10_000;

export interface ReconcileParts {
  readonly routing: Routing;
  readonly auditor: Auditor;
  readonly reader: StockReader;
}

export interface ReconcileOptions {
  readonly shardCount: number;
  /** The only SKU to be looked at; null: all. */
  readonly sku_id: string | null;
  readonly deadlineMs: DeadlineMs;
  /** Told when a shard was looked at for the first time. */
  readonly onShard?: (shard: ShardIndex) => void;
  /** Begins the ids of the adjustments that bring journals to what their rows say; absent: nothing is changed. */
  readonly mendAs?: string;
}

/** What was looked at on a shard. */
export interface ShardReport {
  readonly shard: ShardIndex;
  readonly sku_count: number;
  readonly flow_count: number;
  /** Why it, or something on it, could not be read, for operators: what is wrong there may be missing. Null: all was read. */
  readonly fault: string | null;
}

/** A difference, and what became of it. */
export type MendedDifference = ShelfDifference & Repair;

export interface Reconciled {
  readonly is: 'reconciled';
  readonly shards: readonly ShardReport[];
  readonly differences: readonly MendedDifference[];
}

/** No SKU has the id. */
export interface NoSuchSku {
  readonly is: 'unknown';
}

/**
 * Holds stock rows, flows, returns, holds and carts against each other while traffic runs. Each shard is added up in one
 * snapshot; what spans shards is read in an order that cannot deceive; and what seems wrong is looked at again, a second
 * later, before it is called a difference. A shard that cannot be read leaves only what lies on it unjudged.
 */
export async function reconcile(
  parts: ReconcileParts,
  options: ReconcileOptions,
): Promise<Reconciled | NoSuchSku | NotDone> {
  const { sku_id, deadlineMs, shardCount } = options;
  await parts.routing.refresh();
  if (sku_id !== null) {
    const sku = await parts.routing.onOwners((map) =>
      parts.reader.readStock(map.shardOf(sku_id), sku_id, soon(deadlineMs)),
    );
    if (sku.is !== 'found') return sku;
    if (sku.rows.length === 0) return { is: 'unknown' };
  }
  const all = Array.from({ length: shardCount }, (_, shard): ShardIndex => shard);
  const firstLook = { ...parts, unread: new Unread() };
  const first = await inWidth(all, WIDTH, async (shard) => {
    const looked = await lookFirst(firstLook, shard, { sku_id, deadlineMs });
    options.onShard?.(shard);
    return looked;
  });
  const suspicions = first.flatMap(({ differences }) => differences);
  const secondLook = { ...parts, unread: new Unread() };
  const confirmed = suspicions.length === 0 ? [] : await confirm(secondLook, suspicions, deadlineMs);
  return {
    is: 'reconciled',
    shards: first.map(({ shard, sku_count, flow_count }) => ({
      shard,
      sku_count,
      flow_count,
      fault: firstLook.unread.reasonOf(shard) ?? secondLook.unread.reasonOf(shard),
    })),
    differences: await inWidth(confirmed, WIDTH, async (difference) => {
      const { auditor } = parts;
      const repaired = await repair(difference, suspicions, {
        auditor,
        mendAs: options.mendAs,
        deadlineMs: soon(deadlineMs),
      });
      return { ...difference, ...repaired };
    }),
  };
}

interface LookParts extends ReconcileParts {
  /** Where the shards are noted that could not be read in this look: they are reported, and hold up no other. */
  readonly unread: Unread;
}

interface Looked {
  readonly shard: ShardIndex;
  readonly sku_count: number;
  readonly flow_count: number;
  /** Not only the shard's own: a cart's lines may lie on any. */
  readonly differences: readonly ShelfDifference[];
}

const NOTHING: ShardAudit = { sku_count: 0, flow_count: 0, differences: [], overdue: [] };

interface FirstLook {
  readonly sku_id: string | null;
  readonly deadlineMs: DeadlineMs;
}

async function lookFirst(parts: LookParts, shard: ShardIndex, { sku_id, deadlineMs }: FirstLook): Promise<Looked> {
  const { auditor, unread } = parts;
  // Of one SKU too: its rows may lie on any shard, and what lies on none is quickly counted.
  const audit = await unread.insist(shard, () => auditor.audit(shard, sku_id === null ? null : [sku_id], deadlineMs));
  if (audit === null) return { shard, ...NOTHING };
  const held = await unread.insist(shard, () => followHolds(parts, shard, audit.overdue, deadlineMs));
  const sold = await unread.insist(shard, () => followCarts(parts, shard, sku_id, deadlineMs));
  const { sku_count, flow_count, differences } = audit;
  return { shard, sku_count, flow_count, differences: [...differences, ...(held ?? []), ...(sold ?? [])] };
}

/** Looks again, a little later, at what seemed wrong. @returns what still does */
async function confirm(
  parts: LookParts,
  suspicions: readonly ShelfDifference[],
  deadlineMs: DeadlineMs,
): Promise<ShelfDifference[]> {
  await pause(PAUSE_MS);
  await parts.routing.refresh();
  const suspects = [...new Set(suspicions.map(({ shard }) => shard))];
  const second = await inWidth(suspects, WIDTH, (shard) =>
    lookAgain(
      parts,
      shard,
      suspicions.filter((suspicion) => suspicion.shard === shard),
      deadlineMs,
    ),
  );
  return seenTwice(suspicions, second.flat());
}

async function lookAgain(
  parts: LookParts,
  shard: ShardIndex,
  suspicions: readonly ShelfDifference[],
  deadlineMs: DeadlineMs,
): Promise<ShelfDifference[]> {
  const { auditor, unread } = parts;
  const sku_ids = [...new Set(suspicions.map(({ sku_id }) => sku_id))];
  const audit = await unread.insist(shard, () =>
    auditor.audit(shard, sku_ids.length > SKUS_AGAIN_MAX ? null : sku_ids, deadlineMs),
  );
  if (audit === null) return [];
  const held = await unread.insist(shard, () => followHolds(parts, shard, audit.overdue, deadlineMs));
  const sold = await unread.insist(shard, () => followAgain(parts, suspicions, deadlineMs));
  return [...audit.differences, ...(held ?? []), ...(sold ?? [])];
}

/** A server that fell silent is not waited for when one SKU is all that is asked of it. */
function soon(deadlineMs: DeadlineMs): DeadlineMs {
  return Math.min(deadlineMs, performance.now() + ONE_SKU_MS);
}
