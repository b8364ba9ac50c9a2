import type { Transaction } from '../transaction.ts';
import { bytesOf } from './bytes.ts';

const SQL = `
SELECT leaved_amount, held_amount,
       sale_state = 'on' AND (sale_from IS NULL OR sale_from <= CURRENT_TIMESTAMP(6)) AS on_sale
  FROM stock WHERE sku_id = ? AND sub_row = 0`;

/** How a SKU stands at this moment. */
export interface Shelf {
  readonly leaved_amount: number;
  readonly held_amount: number;
  readonly isOnSale: boolean;
}

/** How a SKU stands, or null for an unknown one. Takes no lock: for messages and classification. */
export async function readShelf(transaction: Transaction, sku_id: string): Promise<Shelf | null> {
  const [row] = await transaction.rows<{ leaved_amount: number; held_amount: number; on_sale: number }>(SQL, [bytesOf(sku_id)]);
  return row === undefined ? null : { leaved_amount: row.leaved_amount, held_amount: row.held_amount, isOnSale: row.on_sale === 1 };
}
