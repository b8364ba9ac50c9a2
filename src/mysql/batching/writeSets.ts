import type { WriteSet } from '../../core/ledger/ledger.ts';

/** Whether anything is written besides completed holds: to strike out the rows of those changes nothing by itself. */
export function changesAnything(writes: WriteSet): boolean {
  const { flows, stockRows, returns, adjustments, transfers, records } = writes;
  return flows.length + stockRows.length + returns.length + adjustments.length + transfers.length + records.length > 0;
}
