import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { NotDone } from '../../core/outcome.ts';
import type { Auditor } from '../../core/ports/auditor.ts';
import type { StockReader } from '../../core/ports/stockReader.ts';
import { foundTwice } from '../../core/books/reconciliation.ts';
import type { ShardAudit, StockDifference } from '../../core/books/reconciliation.ts';
import { auditCartsAgain, auditCarts } from './auditCarts.ts';
import { auditHolds } from './auditHolds.ts';
import { auditSales } from './auditSales.ts';
import { pause } from '../../core/async/pause.ts';
import { mapWithLimit } from '../tasks/mapWithLimit.ts';
import { repair } from './repair.ts';
import type { Repair } from './repair.ts';
import type { Routing } from '../routing/routing.ts';
import { ReadFailures } from './readFailures.ts';

/** Shards that are audited at once. Few: an audit loads their servers, and it is not urgent. */
const WIDTH = 4;
/** The pause between the two reads. Operations that were under way at the first read have ended at the second. */
const PAUSE_MS = 1_000;
/** With more suspected SKUs than this, the second read audits the whole shard. */
const SKUS_AGAIN_MAX = 500;
/** The longest time for reading one SKU, or for adding up its journal while its row is locked. */
const ONE_SKU_MS = 10_000;

export interface ReconcilePorts {
  readonly routing: Routing;
  readonly auditor: Auditor;
  readonly reader: StockReader;
}

export interface ReconcileOptions {
  readonly shardCount: number;
  /** The only SKU to be reconciled; null: all. */
  readonly sku_id: string | null;
  readonly deadlineMs: DeadlineMs;
  /** Called after the first read of each shard. */
  readonly onShard?: (shard: ShardIndex) => void;
  /** The prefix of the ids of the adjustments that repair journals by their rows; absent: nothing is changed. */
  readonly repairIdPrefix?: string;
}

/** The counts of one shard, and the rows that could not be read. */
export interface ShardReport {
  readonly shard: ShardIndex;
  readonly sku_count: number;
  readonly flow_count: number;
  /**
   * Why the shard, or a row on it, could not be read, for operators: differences there may be missing. Null: all was
   * read.
   */
  readonly fault: string | null;
}

/** A difference and the outcome of its repair. */
export type RepairedDifference = StockDifference & Repair;

export interface Reconciled {
  readonly is: 'reconciled';
  readonly shards: readonly ShardReport[];
  readonly differences: readonly RepairedDifference[];
}

/** No SKU has the id. */
export interface NoSuchSku {
  readonly is: 'unknown';
}

/**
 * Compares stock rows, flows, returns, holds and carts with each other while traffic runs. Each shard is added up in
 * one snapshot. Carts over several shards are read in an order that traffic cannot make look wrong: the record before
 * the flows of its lines, and a sold flow before its record. A suspected difference is read again a second later, and
 * only then reported. If a shard cannot be read, only its own rows stay without a result.
 */
export async function reconcile(
  ports: ReconcilePorts,
  options: ReconcileOptions,
): Promise<Reconciled | NoSuchSku | NotDone> {
  const { sku_id, deadlineMs, shardCount } = options;
  await ports.routing.refresh();
  if (sku_id !== null) {
    const sku = await ports.routing.onOwners((map) =>
      ports.reader.readStock(map.shardOf(sku_id), sku_id, soon(deadlineMs)),
    );
    if (sku.is !== 'found') return sku;
    if (sku.rows.length === 0) return { is: 'unknown' };
  }
  const all = Array.from({ length: shardCount }, (_, shard): ShardIndex => shard);
  const firstRead = { ...ports, readFailures: new ReadFailures() };
  const first = await mapWithLimit(all, WIDTH, async (shard) => {
    const audited = await readFirst(firstRead, shard, { sku_id, deadlineMs });
    options.onShard?.(shard);
    return audited;
  });
  const suspicions = first.flatMap(({ differences }) => differences);
  const secondRead = { ...ports, readFailures: new ReadFailures() };
  const confirmed = suspicions.length === 0 ? [] : await confirm(secondRead, suspicions, deadlineMs);
  return {
    is: 'reconciled',
    shards: first.map(({ shard, sku_count, flow_count }) => ({
      shard,
      sku_count,
      flow_count,
      fault: firstRead.readFailures.reasonOf(shard) ?? secondRead.readFailures.reasonOf(shard),
    })),
    differences: await mapWithLimit(confirmed, WIDTH, async (difference) => {
      const { auditor } = ports;
      const repaired = await repair(difference, suspicions, {
        auditor,
        repairIdPrefix: options.repairIdPrefix,
        deadlineMs: soon(deadlineMs),
      });
      return { ...difference, ...repaired };
    }),
  };
}

interface AuditPorts extends ReconcilePorts {
  /** Collects the shards that could not be read: they are reported, and do not delay the others. */
  readonly readFailures: ReadFailures;
}

interface AuditedShard {
  readonly shard: ShardIndex;
  readonly sku_count: number;
  readonly flow_count: number;
  /** Also those of other shards: the lines of a cart may lie on any shard. */
  readonly differences: readonly StockDifference[];
}

const NOTHING: ShardAudit = { sku_count: 0, flow_count: 0, differences: [], overdue: [] };

interface AuditQuery {
  readonly sku_id: string | null;
  readonly deadlineMs: DeadlineMs;
}

async function readFirst(
  ports: AuditPorts,
  shard: ShardIndex,
  { sku_id, deadlineMs }: AuditQuery,
): Promise<AuditedShard> {
  const { auditor, readFailures } = ports;
  // For one SKU too, every shard is audited: its rows may lie on any, and a shard without rows of it answers fast.
  const audit = await readFailures.tryRead(shard, () =>
    auditor.audit(shard, sku_id === null ? null : [sku_id], deadlineMs),
  );
  if (audit === null) return { shard, ...NOTHING };
  const held = await readFailures.tryRead(shard, () => auditHolds(ports, shard, audit.overdue, deadlineMs));
  const sold = await readFailures.tryRead(shard, () => auditCarts(ports, shard, sku_id, deadlineMs));
  const unrecorded = await readFailures.tryRead(shard, () => auditSales(ports, shard, sku_id, deadlineMs));
  const { sku_count, flow_count, differences } = audit;
  return {
    ...{ shard, sku_count, flow_count },
    differences: [...differences, ...(held ?? []), ...(sold ?? []), ...(unrecorded ?? [])],
  };
}

/** Audits the suspected SKUs again after a pause. @returns the differences of both reads */
async function confirm(
  ports: AuditPorts,
  suspicions: readonly StockDifference[],
  deadlineMs: DeadlineMs,
): Promise<StockDifference[]> {
  await pause(PAUSE_MS);
  await ports.routing.refresh();
  const suspects = [...new Set(suspicions.map(({ shard }) => shard))];
  const second = await mapWithLimit(suspects, WIDTH, (shard) =>
    readAgain(
      ports,
      shard,
      suspicions.filter((suspicion) => suspicion.shard === shard),
      deadlineMs,
    ),
  );
  return foundTwice(suspicions, second.flat());
}

async function readAgain(
  ports: AuditPorts,
  shard: ShardIndex,
  suspicions: readonly StockDifference[],
  deadlineMs: DeadlineMs,
): Promise<StockDifference[]> {
  const { auditor, readFailures } = ports;
  const sku_ids = [...new Set(suspicions.map(({ sku_id }) => sku_id))];
  const audit = await readFailures.tryRead(shard, () =>
    auditor.audit(shard, sku_ids.length > SKUS_AGAIN_MAX ? null : sku_ids, deadlineMs),
  );
  if (audit === null) return [];
  const held = await readFailures.tryRead(shard, () => auditHolds(ports, shard, audit.overdue, deadlineMs));
  const sold = await readFailures.tryRead(shard, () => auditCartsAgain(ports, suspicions, deadlineMs));
  return [...audit.differences, ...(held ?? []), ...(sold ?? [])];
}

/** A short deadline for the reads of one SKU, so that a silent server does not delay them. */
function soon(deadlineMs: DeadlineMs): DeadlineMs {
  return Math.min(deadlineMs, performance.now() + ONE_SKU_MS);
}
