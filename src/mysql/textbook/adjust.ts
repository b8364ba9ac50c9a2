import { STOCK_LIMIT } from '../../core/types.ts';
import type { Adjust } from '../../core/operation.ts';
import { refused } from '../../core/outcome.ts';
import type { AppliedOutcome } from '../../core/outcome.ts';
import { Raced } from '../connection/failures.ts';
import type { Change } from '../connection/commitChange.ts';
import { addStock } from '../sql/stock/addStock.ts';
import { insertAdjustment } from '../sql/stock/insertAdjustment.ts';
import { lockAdjustment } from '../sql/stock/lockAdjustment.ts';
import { ownSlots } from '../sql/session/ownSlots.ts';
import { readFirstRows } from '../sql/stock/readFirstRows.ts';
import { readTotal } from '../sql/stock/stockTotal.ts';
import { writeOffStock } from '../sql/stock/writeOffStock.ts';
import type { Transaction } from '../connection/transaction.ts';

/** Restocks or writes off, once per adjustment id: journal row first, then the stock, and the limit last. */
export function adjust(operation: Adjust): Change<AppliedOutcome> {
  const { sku_id, delta } = operation;

  return {
    async attempt(transaction) {
      if (!(await ownSlots(transaction, [sku_id]))) return { keep: false, value: { is: 'not_mine' } };
      if (!(await insertAdjustment(transaction, operation))) {
        const existing = await lockAdjustment(transaction, operation);
        if (existing === null) throw new Raced('the adjustment went away between two statements');
        const value =
          existing === delta ? ({ is: 'applied', replayed: true } as const) : refused('idempotency_conflict');
        return { keep: false, value };
      }
      const isChanged =
        delta > 0
          ? await addStock(transaction, new Map([[sku_id, delta]]))
          : await writeOffStock(transaction, sku_id, -delta);
      if (!isChanged) return { keep: false, value: await refusalOf(transaction, operation) };
      // The row is now locked, and the total counts this adjustment.
      const total = delta > 0 ? await readTotal(transaction, sku_id) : null;
      if (total !== null && total > BigInt(STOCK_LIMIT)) return { keep: false, value: refused('stock_limit') };
      return { keep: true, value: { is: 'applied', replayed: false } };
    },

    async resolveInDoubt(transaction) {
      const existing = await lockAdjustment(transaction, operation);
      return existing === delta ? { is: 'applied', replayed: false } : null;
    },
  };
}

async function refusalOf(transaction: Transaction, { sku_id, delta }: Adjust): Promise<AppliedOutcome> {
  const row = (await readFirstRows(transaction, [sku_id])).get(sku_id);
  if (row === undefined) return refused('unknown_sku');
  const { leaved_amount, held_amount } = row;
  const fits = delta > 0 ? leaved_amount + held_amount <= STOCK_LIMIT - delta : leaved_amount >= -delta;
  if (fits) throw new Raced('stock moved between two statements');
  // Units that carts hold cannot be written off, so a write-off counts only the units left.
  return delta > 0 ? refused('stock_limit') : { ...refused('insufficient_stock'), leaved_amount };
}
