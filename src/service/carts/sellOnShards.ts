import type { DeadlineMs } from '../../core/types.ts';
import type { BlockedByHolds, DeductOutcome, Misrouted, NotDone } from '../../core/outcome.ts';
import { groupsOf } from '../orders/applyByGroup.ts';
import { applyJointlyWithTransfers } from '../hot/applyWithTransfers.ts';
import type { ServicePorts } from '../servicePorts.ts';
import { completeBlockingHolds } from './completeHolds.ts';
import { BLOCKED_UNTIL_DEADLINE, coordinatorOf, deductParts, inOrderOf } from './orderParts.ts';
import type { Order, OrderLine } from './orderParts.ts';
import { sellCart } from './sellCart.ts';
import { sellInTransaction } from './sellInTransaction.ts';

type Sold = Exclude<DeductOutcome, BlockedByHolds>;

/**
 * Sells an order over several shards, all or nothing. Shards of one server commit together in the batch of the server.
 * An order over several servers is a transaction, and a cart with attempts while gateways of before the records of
 * orders may run.
 *
 * @param lines the lines of the order with their shards, in the order of the request
 */
export function sellOnShards(
  ports: ServicePorts,
  order: Order,
  lines: readonly OrderLine[],
  deadlineMs: DeadlineMs,
): Promise<Sold> {
  const shards = [...new Set(lines.map(({ shard }) => shard))];
  if (groupsOf(ports.engine, shards, (shard) => shard).length === 1)
    return sellJointly(ports, order, lines, deadlineMs);
  const commitsJointly = shards.every((shard) => ports.engine.groupOf(shard) !== null);
  return commitsJointly && ports.records.areUsable(shards)
    ? sellInTransaction(ports, order, deadlineMs)
    : sellCart(ports, order, deadlineMs);
}

/** Sells on shards of one group: one operation, which waits for holds of other orders until the deadline. */
async function sellJointly(
  ports: ServicePorts,
  order: Order,
  lines: readonly OrderLine[],
  deadlineMs: DeadlineMs,
): Promise<Sold> {
  const coordinator = coordinatorOf(lines);
  const outcome = await completeBlockingHolds<DeductOutcome>(ports, deadlineMs, deadlineMs, coordinator, () =>
    applyJointlyOnce(ports, order, lines, deadlineMs),
  );
  return outcome.is === 'pending' ? BLOCKED_UNTIL_DEADLINE : outcome;
}

/** Sends the order once, as one operation on shards of one group. It waits for no holds. */
export async function applyJointlyOnce(
  ports: Pick<ServicePorts, 'engine' | 'hot' | 'backgroundTasks' | 'records'>,
  { order_id, lines: given }: Order,
  lines: readonly OrderLine[],
  deadlineMs: DeadlineMs,
): Promise<DeductOutcome> {
  const transaction = ports.records.begin(coordinatorOf(lines));
  const parts = deductParts({ order_id, lines }, lines, transaction, false);
  const outcome: DeductOutcome = await applyJointlyWithTransfers(ports, parts, deadlineMs);
  return inOrderOf<Exclude<DeductOutcome, { is: 'deducted' | 'refused' }> | Misrouted | NotDone>(given, outcome);
}
