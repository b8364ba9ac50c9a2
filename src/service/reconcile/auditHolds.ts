import { chunksOf } from '../../core/async/chunksOf.ts';
import { cartDifference } from '../../core/books/reconciliation.ts';
import type { OverdueHold, StockDifference } from '../../core/books/reconciliation.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { cartText } from '../carts/cartBatches.ts';
import { byRecordShard } from '../carts/recordShard.ts';
import { KEYS_AT_A_TIME } from './cartAuditPorts.ts';
import type { CartAuditPorts } from './cartAuditPorts.ts';

/**
 * Finds the old holds of a shard whose carts were decided long ago or have no record. A hold whose coordinator does not
 * exist is among them, because nothing can complete it.
 */
export async function auditHolds(
  ports: CartAuditPorts,
  shard: ShardIndex,
  holds: readonly OverdueHold[],
  deadlineMs: DeadlineMs,
): Promise<StockDifference[]> {
  const found: StockDifference[] = [];
  // A hold row without units is reported as `hold_row` already.
  for (const [owner, ofOwner] of byRecordShard(
    ports.routing,
    holds.filter(({ quantity }) => quantity > 0),
  )) {
    for (const some of chunksOf(ofOwner, KEYS_AT_A_TIME)) {
      const read = await ports.readFailures.readUnlessFailed(owner, () =>
        ports.auditor.findFreshCarts(owner, some, deadlineMs),
      );
      if (read === null) continue;
      const fresh = new Set(read.map(cartText));
      const left = some.filter((hold) => !fresh.has(cartText(hold)));
      found.push(
        ...left.map((hold) => cartDifference('hold_left', hold, shard, { expected: 0, actual: hold.quantity })),
      );
    }
  }
  return found;
}
