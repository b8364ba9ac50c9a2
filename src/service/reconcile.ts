import type { DeadlineMs, ShardIndex } from '../core/nouns.ts';
import type { NotDone } from '../core/outcome.ts';
import type { Auditor, StockReader } from '../core/ports.ts';
import { gapOf, seenTwice } from '../core/reconciliation.ts';
import type { ShelfDifference } from '../core/reconciliation.ts';
import { followAgain, followCarts, followHolds } from './followCarts.ts';
import { pause } from './freeHolds.ts';
import { inWidth } from './inWidth.ts';
import { readSku } from './readSku.ts';
import type { Routing } from './routing.ts';

/** Shards that are added up at once: it is work for their servers, and there is no hurry. */
const WIDTH = 4;
/** Between the two looks. What was under way at the first is over by then. */
const PAUSE_MS = 1_000;
/** More SKUs than this are not looked at one by one again, but all of the shard's. */
const SKUS_AGAIN_MAX = 500;

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
  readonly onShard?: (report: ShardReport) => void;
  /** Begins the ids of the adjustments that bring journals to what their rows say; absent: nothing is changed. */
  readonly mendAs?: string;
}

/** What was looked at on a shard. */
export interface ShardReport {
  readonly shard: ShardIndex;
  readonly sku_count: number;
  readonly flow_count: number;
  /** Why it could not be read, for operators; null: it was. */
  readonly fault: string | null;
}

export interface MendedDifference extends ShelfDifference {
  /** The adjustment that brought the journal to what the row says; null: nothing was changed. */
  readonly adjustment_id: string | null;
}

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
 * later, before it is called a difference.
 */
export async function reconcile(parts: ReconcileParts, options: ReconcileOptions): Promise<Reconciled | NoSuchSku | NotDone> {
  const { sku_id, deadlineMs, shardCount } = options;
  await parts.routing.refresh();
  let owner: ShardIndex | null = null;
  if (sku_id !== null) {
    const sku = await readSku(parts, sku_id, deadlineMs);
    if (sku.is !== 'found') return sku;
    if (sku.rows.length === 0) return { is: 'unknown' };
    owner = sku.shard;
  }
  const all = Array.from({ length: shardCount }, (_, shard): ShardIndex => shard);
  const first = await inWidth(all, WIDTH, async (shard) => {
    const looked = await guarded(shard, () => lookFirst(parts, shard, { sku_id, isOwner: owner === null || owner === shard, deadlineMs }));
    options.onShard?.(looked.report);
    return looked;
  });
  const suspicions = first.flatMap(({ differences }) => differences);
  if (suspicions.length === 0) return { is: 'reconciled', shards: first.map(({ report }) => report), differences: [] };

  await pause(PAUSE_MS);
  await parts.routing.refresh();
  const suspects = [...new Set(suspicions.map(({ shard }) => shard))];
  const second = await inWidth(suspects, WIDTH, (shard) =>
    guarded(shard, () => lookAgain(parts, shard, suspicions.filter((suspicion) => suspicion.shard === shard), deadlineMs)),
  );
  const faults = new Map(second.flatMap(({ report }) => (report.fault === null ? [] : [[report.shard, report.fault]])));
  const confirmed = seenTwice(suspicions, second.flatMap(({ differences }) => differences));
  return {
    is: 'reconciled',
    shards: first.map(({ report }) => ({ ...report, fault: report.fault ?? faults.get(report.shard) ?? null })),
    differences: await inWidth(confirmed, WIDTH, (difference) => mendOne(parts, suspicions, difference, options)),
  };
}

interface Looked {
  readonly report: ShardReport;
  /** Not only the shard's own: a cart's lines may lie on any. */
  readonly differences: readonly ShelfDifference[];
}

interface FirstLook {
  readonly sku_id: string | null;
  /** Whether the only SKU to be looked at lies on this shard. */
  readonly isOwner: boolean;
  readonly deadlineMs: DeadlineMs;
}

async function lookFirst(parts: ReconcileParts, shard: ShardIndex, { sku_id, isOwner, deadlineMs }: FirstLook): Promise<Looked> {
  const audit = isOwner ? await parts.auditor.audit(shard, sku_id === null ? null : [sku_id], deadlineMs) : null;
  const held = audit === null ? [] : await followHolds(parts, shard, audit.overdue, deadlineMs);
  const sold = await followCarts(parts, shard, sku_id, deadlineMs);
  return {
    report: { shard, sku_count: audit?.sku_count ?? 0, flow_count: audit?.flow_count ?? 0, fault: null },
    differences: [...(audit?.differences ?? []), ...held, ...sold],
  };
}

async function lookAgain(parts: ReconcileParts, shard: ShardIndex, suspicions: readonly ShelfDifference[], deadlineMs: DeadlineMs): Promise<Looked> {
  const sku_ids = [...new Set(suspicions.map(({ sku_id }) => sku_id))];
  const audit = await parts.auditor.audit(shard, sku_ids.length > SKUS_AGAIN_MAX ? null : sku_ids, deadlineMs);
  const held = await followHolds(parts, shard, audit.overdue, deadlineMs);
  const sold = await followAgain(parts, suspicions, deadlineMs);
  return { report: { shard, sku_count: 0, flow_count: 0, fault: null }, differences: [...audit.differences, ...held, ...sold] };
}

/** A shard that cannot be read is reported, and holds up no other. */
async function guarded(shard: ShardIndex, look: () => Promise<Looked>): Promise<Looked> {
  try {
    return await look();
  } catch (error) {
    const fault = error instanceof Error ? error.message : String(error);
    return { report: { shard, sku_count: 0, flow_count: 0, fault }, differences: [] };
  }
}

/** Acts only where the row and its journal differ by the same both times; whatever else is wrong is for people to judge. */
async function mendOne(parts: ReconcileParts, suspicions: readonly ShelfDifference[], difference: ShelfDifference, options: ReconcileOptions): Promise<MendedDifference> {
  const { kind, shard, sku_id } = difference;
  const delta = Number(gapOf(difference));
  const earlier = suspicions.find((suspicion) => suspicion.kind === kind && suspicion.shard === shard && suspicion.sku_id === sku_id);
  const isSteady = earlier !== undefined && gapOf(earlier) === gapOf(difference) && Number.isSafeInteger(delta);
  if (options.mendAs === undefined || kind !== 'leaved_amount' || !isSteady) return { ...difference, adjustment_id: null };
  const adjustment_id = `${options.mendAs}-${shard}`;
  const reason = `reconciliation: ${difference.actual} left by the row, ${difference.expected} by its journal`;
  const mended = await parts.auditor.mend(shard, { kind: 'adjust', sku_id, adjustment_id, delta, reason }, options.deadlineMs);
  return { ...difference, adjustment_id: mended.is === 'mended' ? adjustment_id : null };
}
