import { chunksOf } from '../../core/async/chunksOf.ts';
import { pause } from '../../core/async/pause.ts';
import { foundTwice } from '../../core/books/reconciliation.ts';
import type { DifferenceKind, StockDifference } from '../../core/books/reconciliation.ts';
import { STEP_SKUS_MAX } from '../../core/books/walkPace.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { mapWithLimit } from '../tasks/mapWithLimit.ts';
import { auditCartsAgain } from './auditCarts.ts';
import { auditHolds } from './auditHolds.ts';
import { SHARDS_AT_A_TIME } from './cartAuditPorts.ts';
import type { CartAuditPorts } from './cartAuditPorts.ts';

/** The pause between the two reads. Operations that were under way at the first read have ended at the second. */
const CONFIRM_PAUSE_MS = 1_000;
/** Found by comparing records with flows, so the sums of the SKU are not read for them. */
const OF_RECORDS: ReadonlySet<DifferenceKind> = new Set(['cart_line', 'aborted_line']);

/**
 * Reads suspected differences again after a pause.
 *
 * @param ports a collector of read failures for this read alone: a shard that cannot be read again confirms nothing
 * @returns the differences of both reads
 */
export async function confirm(
  ports: CartAuditPorts,
  suspicions: readonly StockDifference[],
  deadlineMs: DeadlineMs,
): Promise<StockDifference[]> {
  await pause(CONFIRM_PAUSE_MS);
  return readAgain(ports, suspicions, deadlineMs);
}

/** Reads differences again. @returns those that are still there, with their present numbers */
export async function readAgain(
  ports: CartAuditPorts,
  differences: readonly StockDifference[],
  deadlineMs: DeadlineMs,
): Promise<StockDifference[]> {
  await ports.routing.refresh();
  const shards = [...new Set(differences.map(({ shard }) => shard))];
  const second = await mapWithLimit(shards, SHARDS_AT_A_TIME, (shard) =>
    readShardAgain(
      ports,
      shard,
      differences.filter((difference) => difference.shard === shard),
      deadlineMs,
    ),
  );
  return foundTwice(differences, second.flat());
}

async function readShardAgain(
  ports: CartAuditPorts,
  shard: ShardIndex,
  differences: readonly StockDifference[],
  deadlineMs: DeadlineMs,
): Promise<StockDifference[]> {
  const { auditor, readFailures } = ports;
  const ofStock = differences.filter(({ kind }) => !OF_RECORDS.has(kind));
  const found: StockDifference[] = [];
  for (const sku_ids of chunksOf([...new Set(ofStock.map(({ sku_id }) => sku_id))], STEP_SKUS_MAX)) {
    const audit = await readFailures.tryRead(shard, () => auditor.audit(shard, sku_ids, deadlineMs));
    if (audit === null) return found;
    const held = await readFailures.tryRead(shard, () => auditHolds(ports, shard, audit.overdue, deadlineMs));
    found.push(...audit.differences, ...(held ?? []));
  }
  const sold = await readFailures.tryRead(shard, () => auditCartsAgain(ports, differences, deadlineMs));
  return [...found, ...(sold ?? [])];
}
