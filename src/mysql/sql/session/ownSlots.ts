import { slotOf } from '../../../core/slots.ts';
import type { Transaction } from '../../connection/transaction.ts';

/** `epoch` is read so that the forced index is searched and not scanned: a scan would lock every slot of the shard. */
const SQL = 'SELECT slot, epoch FROM slot FORCE INDEX (PRIMARY) WHERE slot IN (?) LOCK IN SHARE MODE';

/**
 * Asserts that this shard owns the slots of some SKUs, and keeps it so until the transaction ends. A transaction that
 * moves a slot to another shard waits for this one, and this one waits for it.
 *
 * @returns false when at least one slot is not (or no longer) this shard's
 */
export async function ownSlots(transaction: Transaction, sku_ids: readonly string[]): Promise<boolean> {
  const slots = [...new Set(sku_ids.map(slotOf))];
  const rows = await transaction.rows<{ slot: number }>(SQL, [slots]);
  return rows.length === slots.length;
}
