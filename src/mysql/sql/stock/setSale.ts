import type { SetSale } from '../../../core/operation.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf } from '../text/bytes.ts';

/** Text, because MariaDB's FROM_UNIXTIME ends in 2038. */
const FROM = 'CAST(CAST(? AS CHAR) AS DATETIME(6))';
const SQL = `UPDATE stock SET sale_state = ?, sale_from = ${FROM}, version = version + 1 WHERE sku_id = ?`;
const READ = `SELECT sale_state = ? AND sale_from <=> ${FROM} AS is_so FROM stock WHERE sku_id = ? LOCK IN SHARE MODE`;

/** The numbers of the words in the column's type. */
const STATES = { on: 1, paused: 2 } as const;

/** Starts or pauses the sale of a SKU, in all its rows. @returns false when it is unknown */
export async function setSale(transaction: Transaction, { sku_id, state, from }: SetSale): Promise<boolean> {
  return (await transaction.run(SQL, [STATES[state], datetimeOf(from), bytesOf(sku_id)])) > 0;
}

/** Whether a SKU has exactly this sale state; waits for a transaction that is changing it. */
export async function isSale(transaction: Transaction, { sku_id, state, from }: SetSale): Promise<boolean> {
  const rows = await transaction.rows<{ is_so: number }>(READ, [STATES[state], datetimeOf(from), bytesOf(sku_id)]);
  return rows.length > 0 && rows.every(({ is_so }) => is_so === 1);
}

/** `2026-11-20T10:00:00.000Z` as the server reads it; sessions are in UTC. */
function datetimeOf(from: string | null): Buffer | null {
  return from === null ? null : Buffer.from(from.replace('T', ' ').replace('Z', ''), 'latin1');
}
