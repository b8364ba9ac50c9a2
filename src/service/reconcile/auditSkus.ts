import type { ShardAudit } from '../../core/books/reconciliation.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { auditHolds } from './auditHolds.ts';
import { auditSales } from './auditSales.ts';
import type { CartAuditPorts } from './cartAuditPorts.ts';

/**
 * Compares the stock rows, flows, returns, holds and sales of some SKUs on a shard, with the records of their orders on
 * any shard.
 *
 * @param only at least one SKU; null: all
 * @returns null: the shard could not be read. Comparisons with another shard that could not be read are left out.
 */
export async function auditSkus(
  ports: CartAuditPorts,
  shard: ShardIndex,
  only: readonly string[] | null,
  deadlineMs: DeadlineMs,
): Promise<Omit<ShardAudit, 'overdue'> | null> {
  const { auditor, readFailures } = ports;
  const audit = await readFailures.tryRead(shard, () => auditor.audit(shard, only, deadlineMs));
  if (audit === null) return null;
  const { overdue, differences, ...counts } = audit;
  const held = await readFailures.tryRead(shard, () => auditHolds(ports, shard, overdue, deadlineMs));
  const unrecorded = await readFailures.tryRead(shard, () => auditSales(ports, shard, only, deadlineMs));
  return { ...counts, differences: [...differences, ...(held ?? []), ...(unrecorded ?? [])] };
}
