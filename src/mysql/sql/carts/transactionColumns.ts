import type { WithTransaction } from '../../../core/types.ts';

/** The columns of a flow or a hold that name its transaction, as the driver returns them. */
export interface TransactionColumns {
  readonly transaction_id: Buffer | null;
  readonly coordinator: number | null;
}

/** The transaction that wrote a row; empty for a row without one. */
export function transactionOf({ transaction_id, coordinator }: TransactionColumns): WithTransaction {
  if (transaction_id === null || coordinator === null) return {};
  return { transaction: { transaction_id: transaction_id.toString('hex'), coordinator } };
}
