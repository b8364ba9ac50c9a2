import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf, textOf } from '../text/bytes.ts';
import { isSellable } from './sellable.ts';

const SQL = `
SELECT sku_id, leaved_amount, CAST(IF(${isSellable('stock')}, leaved_amount, 0) AS UNSIGNED) AS sellable_amount,
       held_amount, intake <> 'any' AS is_split,
       sale_state = 'on' AND (sale_from IS NULL OR sale_from <= CURRENT_TIMESTAMP(6)) AS on_sale
  FROM stock WHERE sku_id IN (?) AND sub_row = 0`;

/** The first stock row of a SKU at one moment. */
export interface FirstRow {
  readonly leaved_amount: number;
  /** Units left that may be sold now. */
  readonly sellable_amount: number;
  readonly held_amount: number;
  readonly isOnSale: boolean;
  /** Its units are in several rows, or are being moved there. */
  readonly isSplit: boolean;
}

/**
 * The first stock rows of some SKUs; unknown SKUs are missing. Takes no lock: for messages and classification.
 *
 * @param sku_ids at least one
 */
export async function readFirstRows(
  transaction: Transaction,
  sku_ids: readonly string[],
): Promise<Map<string, FirstRow>> {
  const rows = await transaction.rows<{
    sku_id: Buffer;
    leaved_amount: number;
    sellable_amount: number;
    held_amount: number;
    is_split: number;
    on_sale: number;
  }>(SQL, [sku_ids.map(bytesOf)]);
  return new Map(
    rows.map(({ sku_id, leaved_amount, sellable_amount, held_amount, is_split, on_sale }) => [
      textOf(sku_id),
      { leaved_amount, sellable_amount, held_amount, isOnSale: on_sale === 1, isSplit: is_split === 1 },
    ]),
  );
}
