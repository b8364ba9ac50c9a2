import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { NotDone } from '../../core/outcome.ts';
import type { Auditor } from '../../core/ports/auditor.ts';
import type { StockReader } from '../../core/ports/stockReader.ts';
import type { StockDifference } from '../../core/books/reconciliation.ts';
import { auditCarts } from './auditCarts.ts';
import { auditSkus } from './auditSkus.ts';
import { SHARDS_AT_A_TIME } from './cartAuditPorts.ts';
import type { CartAuditPorts } from './cartAuditPorts.ts';
import { confirm } from './confirm.ts';
import { mapWithLimit } from '../tasks/mapWithLimit.ts';
import { repair } from './repair.ts';
import type { Repair } from './repair.ts';
import type { Routing } from '../routing/routing.ts';
import { ReadFailures } from './readFailures.ts';

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
  const first = await mapWithLimit(all, SHARDS_AT_A_TIME, async (shard) => {
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
    differences: await mapWithLimit(confirmed, SHARDS_AT_A_TIME, async (difference) => {
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

interface AuditedShard {
  readonly shard: ShardIndex;
  readonly sku_count: number;
  readonly flow_count: number;
  /** Also those of other shards: the lines of a cart may lie on any shard. */
  readonly differences: readonly StockDifference[];
}

const NOTHING = { sku_count: 0, flow_count: 0, differences: [] };

interface AuditQuery {
  readonly sku_id: string | null;
  readonly deadlineMs: DeadlineMs;
}

async function readFirst(
  ports: CartAuditPorts,
  shard: ShardIndex,
  { sku_id, deadlineMs }: AuditQuery,
): Promise<AuditedShard> {
  // For one SKU too, every shard is audited: its rows may lie on any, and a shard without rows of it answers fast.
  const audit = await auditSkus(ports, shard, sku_id === null ? null : [sku_id], deadlineMs);
  if (audit === null) return { shard, ...NOTHING };
  const sold = await ports.readFailures.tryRead(shard, () => auditCarts(ports, shard, sku_id, deadlineMs));
  return { shard, ...audit, differences: [...audit.differences, ...(sold ?? [])] };
}

/** A short deadline for the reads of one SKU, so that a silent server does not delay them. */
function soon(deadlineMs: DeadlineMs): DeadlineMs {
  return Math.min(deadlineMs, performance.now() + ONE_SKU_MS);
}
