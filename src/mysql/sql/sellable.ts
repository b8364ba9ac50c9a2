import type { Transaction } from '../transaction.ts';

/**
 * Whether what a stock row has may be sold: a row that had nothing keeps what comes in for a while, on a shard where a tier is on
 * (`migrations/0007_pre_check.ts`). So far ahead only a clock that was set back can have put it.
 *
 * @param table the name or alias of `stock`
 */
export function isSellable(table: string): string {
  return `(${table}.sellable_from IS NULL OR ${table}.sellable_from <= SYSDATE(6) OR ${table}.sellable_from > SYSDATE(6) + INTERVAL 2 SECOND)`;
}

const LOCK = 'SELECT sellable_after_ms FROM precheck WHERE only_row = 1 LOCK IN SHARE MODE';

/**
 * Reads for how long new units of a row that has nothing are kept from being sold; 0 where no tier was ever on. To be called with the
 * stock rows locked, and before they are changed: a change of that row waits for every transaction that brings units.
 */
export async function lockSellableAfterMs(transaction: Transaction): Promise<number> {
  const [row] = await transaction.rows<{ sellable_after_ms: number }>(LOCK, []);
  return row?.sellable_after_ms ?? 0;
}
