import type { Open } from '../../core/operation.ts';
import { refused } from '../../core/outcome.ts';
import type { AppliedOutcome } from '../../core/outcome.ts';
import { Raced } from '../connection/failures.ts';
import type { Change } from '../connection/commitChange.ts';
import { insertStock } from '../sql/stock/insertStock.ts';
import { lockOpening } from '../sql/stock/lockOpening.ts';
import { ownSlots } from '../sql/session/ownSlots.ts';

/** Opens a SKU. Repeated with the same opening stock it is a replay, also when units were sold since. */
export function open({ sku_id, leaved_amount }: Open): Change<AppliedOutcome> {
  return {
    async attempt(transaction) {
      if (!(await ownSlots(transaction, [sku_id]))) return { keep: false, value: { is: 'not_mine' } };
      if (await insertStock(transaction, sku_id, leaved_amount)) {
        return { keep: true, value: { is: 'applied', replayed: false } };
      }
      const opening = await lockOpening(transaction, sku_id);
      if (opening === null) throw new Raced('the SKU went away between two statements');
      return {
        keep: false,
        value:
          opening === leaved_amount
            ? { is: 'applied', replayed: true }
            : { ...refused('sku_exists'), opened_with: opening },
      };
    },

    async resolveInDoubt(transaction) {
      return (await lockOpening(transaction, sku_id)) === leaved_amount ? { is: 'applied', replayed: false } : null;
    },
  };
}
