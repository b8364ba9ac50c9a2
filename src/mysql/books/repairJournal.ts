import { expectedOf } from '../../core/books/books.ts';
import { STOCK_LIMIT } from '../../core/types.ts';
import type { Adjust } from '../../core/operation.ts';
import type { NotDone, WrongShard } from '../../core/outcome.ts';
import type { RepairOutcome } from '../../core/ports/auditor.ts';
import type { Change } from '../connection/commitChange.ts';
import { insertAdjustment } from '../sql/stock/insertAdjustment.ts';
import { lockAdjustment } from '../sql/stock/lockAdjustment.ts';
import { lockStock } from '../sql/stock/lockStock.ts';
import { ownSlots } from '../sql/session/ownSlots.ts';
import { readTotal } from '../sql/stock/stockTotal.ts';
import { readUnbalanced } from '../sql/books/readBalances.ts';

/**
 * Adds an adjustment that makes a journal agree with its stock row. Every change to the units left of a SKU changes its
 * row in the same transaction. So while the row is locked the journal cannot change, and the difference is computed
 * again.
 */
export function repairJournal(adjustment: Adjust): Change<RepairOutcome | WrongShard | NotDone> {
  const { sku_id, delta } = adjustment;

  return {
    async attempt(transaction) {
      if (!(await ownSlots(transaction, [sku_id]))) return { keep: false, value: { is: 'not_mine' } };
      const isThere = await lockStock(transaction, sku_id);
      const balance = (await readUnbalanced(transaction, [sku_id])).find(({ sub_row }) => sub_row === 0);
      const isSame = balance !== undefined && balance.leaved - expectedOf(balance) === BigInt(delta);
      if (!isThere || !isSame || !(await insertAdjustment(transaction, adjustment)))
        return { keep: false, value: { is: 'changed' } };
      const total = (await readTotal(transaction, sku_id)) ?? 0n;
      if (delta > 0 && total > BigInt(STOCK_LIMIT)) {
        const reason = `opening stock plus adjustments would be ${total} units, above the limit of ${STOCK_LIMIT}`;
        return { keep: false, value: { is: 'not_done', reason: `${reason}: write units off first` } };
      }
      return { keep: true, value: { is: 'mended' } };
    },

    async resolveInDoubt(transaction) {
      return (await lockAdjustment(transaction, adjustment)) === delta ? { is: 'mended' } : null;
    },
  };
}
