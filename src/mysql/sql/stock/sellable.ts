import type { Transaction } from '../../connection/transaction.ts';

/**
 * Whether the units of a stock row may be sold. On a shard whose pre-check is on, units that enter an empty row are
 * kept unsold for a while (`migrations/0007_pre_check.ts`). Only a clock that was set back can have set a time that is
 * further ahead than the condition allows.
 *
 * @param table the name or alias of `stock`
 */
export function isSellable(table: string): string {
  const from = `${table}.sellable_from`;
  return `(${from} IS NULL OR ${from} <= SYSDATE(6) OR ${from} > SYSDATE(6) + INTERVAL 2 SECOND)`;
}

const LOCK = 'SELECT sellable_after_ms FROM precheck WHERE only_row = 1 LOCK IN SHARE MODE';

/**
 * Reads how long units that enter an empty row are kept unsold; 0 where no pre-check was ever on. Call it with the
 * stock rows locked, and before they are changed: a change of the row in `precheck` waits for every transaction that
 * brings units.
 */
export async function lockSellableAfterMs(transaction: Transaction): Promise<number> {
  const [row] = await transaction.rows<{ sellable_after_ms: number }>(LOCK, []);
  return row?.sellable_after_ms ?? 0;
}
