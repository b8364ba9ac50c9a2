import type { DeadlineMs } from '../../../core/types.ts';
import type { SlotClaim } from '../../../core/ports/slotSource.ts';
import type { Connection } from '../../connection/connection.ts';

/** The slots that this shard owns. */
export function readSlots(connection: Connection, deadlineMs: DeadlineMs): Promise<SlotClaim[]> {
  return connection.rows<SlotClaim>('SELECT slot, epoch FROM slot', [], deadlineMs);
}
