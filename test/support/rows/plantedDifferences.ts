import type { CartKey, CommitDecision, OrderTransaction } from '../../../src/core/types.ts';

/** A difference in the report of a reconciliation. */
export interface ReportedDifference {
  readonly kind: string;
  readonly shard: number;
  readonly sku_id: string;
  readonly expected: number;
  readonly actual: number;
  readonly flows?: readonly string[];
  readonly order_detail_ids?: readonly string[];
  readonly cart: CartKey | null;
  readonly adjustment_id?: string | null;
}

/** The differences as one sorted text each. */
export function differenceTexts(differences: readonly ReportedDifference[]): string[] {
  return differences
    .map(({ kind, shard, sku_id, expected, actual, flows, order_detail_ids, cart }) =>
      [
        kind,
        `shard ${shard}`,
        sku_id,
        `${actual} instead of ${expected}`,
        (flows ?? order_detail_ids ?? []).join('+'),
        cart === null ? '' : `${cart.order_id} ${cart.transaction?.transaction_id ?? cart.attempt}`,
      ].join(' | '),
    )
    .sort();
}

/** A held flow of one unit. */
export function heldFlow(sku_id: string, order_id: string): string {
  return `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, attempt, status)
          VALUES ('${sku_id}', 'd-${order_id}', '${order_id}', 1, 1, 'pending')`;
}

/** The row of a hold. @param age in seconds */
export function holdRow(sku_id: string, order_id: string, age = 0): string {
  return `INSERT INTO cart_hold (sku_id, order_detail_id, order_id, attempt, created_at)
          VALUES ('${sku_id}', 'd-${order_id}', '${order_id}', 1, NOW(6) - INTERVAL ${age} SECOND)`;
}

/** Moves one unit of a SKU from the units left to the units held. */
export function oneHeld(sku_id: string): string {
  return `UPDATE stock SET leaved_amount = leaved_amount - 1, held_amount = held_amount + 1 WHERE sku_id = '${sku_id}'`;
}

/** The record of a cart that was aborted a minute ago, without lines. */
export function abortedRecord(order_id: string): string {
  return `INSERT INTO cart (order_id, attempt, token, state, order_lines, decided_at)
          VALUES ('${order_id}', 1, 'token', 'aborted', '[]', NOW(6) - INTERVAL 1 MINUTE)`;
}

/** A return of a line that was never sold. */
export function returnOfNothing(sku_id: string, quantity: number): string {
  return `INSERT INTO flow_return (sku_id, order_detail_id, return_id, quantity)
          VALUES ('${sku_id}', 'never sold', 'r', ${quantity})`;
}

/** A held flow of one unit, of a transaction. */
export function heldInTransaction(sku_id: string, order_id: string, transaction: OrderTransaction): string {
  return `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity, status, transaction_id, coordinator)
          VALUES ('${sku_id}', 'd-${order_id}', '${order_id}', 1, 'pending', ${valuesOf(transaction)})`;
}

/** The row of such a hold. @param age in seconds */
export function transactionHoldRow(
  sku_id: string,
  order_id: string,
  transaction: OrderTransaction,
  age: number,
): string {
  return `INSERT INTO cart_hold
            (sku_id, order_detail_id, order_id, attempt, created_at, transaction_id, coordinator)
          VALUES ('${sku_id}', 'd-${order_id}', '${order_id}', 0, NOW(6) - INTERVAL ${age} SECOND,
                  ${valuesOf(transaction)})`;
}

/** The record of a transaction, without lines. @param age in seconds */
export function recordOf(
  order_id: string,
  { transaction_id }: OrderTransaction,
  state: CommitDecision,
  age: number,
): string {
  return `INSERT INTO order_record (transaction_id, state, order_id, order_lines, created_at)
          VALUES (X'${transaction_id}', '${state}', '${order_id}', '[]', NOW(6) - INTERVAL ${age} SECOND)`;
}

function valuesOf({ transaction_id, coordinator }: OrderTransaction): string {
  return `X'${transaction_id}', ${coordinator}`;
}
