import { pause } from '../../core/async/pause.ts';
import { foundTwice } from '../../core/books/reconciliation.ts';
import type { StockDifference } from '../../core/books/reconciliation.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { mapWithLimit } from '../tasks/mapWithLimit.ts';
import { auditCartsAgain } from './auditCarts.ts';
import { auditHolds } from './auditHolds.ts';
import { SHARDS_AT_A_TIME } from './cartAuditPorts.ts';
import type { CartAuditPorts } from './cartAuditPorts.ts';

/** The pause between the two reads. Operations that were under way at the first read have ended at the second. */
export const CONFIRM_PAUSE_MS = 1_000;
/** With more suspected SKUs than this, the second read audits the whole shard. */
const SKUS_AGAIN_MAX = 500;

/**
 * Audits the suspected SKUs again after a pause.
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
  await ports.routing.refresh();
  const suspects = [...new Set(suspicions.map(({ shard }) => shard))];
  const second = await mapWithLimit(suspects, SHARDS_AT_A_TIME, (shard) =>
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
  ports: CartAuditPorts,
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
