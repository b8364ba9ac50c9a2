import type { SetSale } from '../../core/operation.ts';
import { refused } from '../../core/outcome.ts';
import type { AppliedOutcome } from '../../core/outcome.ts';
import type { Change } from '../connection/commitChange.ts';
import { ownSlots } from '../sql/session/ownSlots.ts';
import { isSale, setSale } from '../sql/stock/setSale.ts';

/**
 * Starts or pauses the sale of a SKU. The state is in the stock row, so it holds on every gateway from the commit on.
 */
export function setSaleState(operation: SetSale): Change<AppliedOutcome> {
  return {
    async attempt(transaction) {
      if (operation.row === undefined && !(await ownSlots(transaction, [operation.sku_id])))
        return { keep: false, value: { is: 'not_mine' } };
      if (!(await setSale(transaction, operation))) return { keep: false, value: refused('unknown_sku') };
      return { keep: true, value: { is: 'applied', replayed: false } };
    },

    async resolveInDoubt(transaction) {
      if (await isSale(transaction, operation)) return { is: 'applied', replayed: false };
      // The change may have been committed, and the state changed again since.
      return { is: 'unknown', reason: 'the sale of the SKU has another state now' };
    },
  };
}
