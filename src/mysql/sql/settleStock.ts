import type { Verdict } from '../../core/nouns.ts';
import type { Transaction } from '../transaction.ts';
import { bytesOf } from './bytes.ts';

const SQL = `
UPDATE stock SET leaved_amount = leaved_amount + ?, held_amount = held_amount - ?, version = version + 1
 WHERE sku_id = ? AND sub_row = 0`;

/** Ends the hold of some units: they are sold, or on the shelf again. @returns false when the SKU is unknown */
export async function settleStock(transaction: Transaction, sku_id: string, units: number, verdict: Verdict): Promise<boolean> {
  return (await transaction.run(SQL, [verdict === 'aborted' ? units : 0, units, bytesOf(sku_id)])) === 1;
}
