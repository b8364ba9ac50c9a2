import { flowKeyText } from '../../../core/types.ts';
import type { FlowKey } from '../../../core/types.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { textOf } from '../text/bytes.ts';
import { anyOf, keyValues } from './flowKeys.ts';

/**
 * Those of some flows that existed before a moment, as `flowKeyText`.
 *
 * @param keys at least one
 * @param moment by the clock of the shard, in UTC
 */
export async function findOlder(
  transaction: Pick<Transaction, 'rows'>,
  keys: readonly FlowKey[],
  moment: string,
): Promise<ReadonlySet<string>> {
  const sql = `SELECT sku_id, order_detail_id FROM flow FORCE INDEX (PRIMARY)
                WHERE ${anyOf(keys)} AND created_at < CAST(CAST(? AS CHAR) AS DATETIME(6))`;
  const rows = await transaction.rows<{ sku_id: Buffer; order_detail_id: Buffer }>(sql, [
    ...keyValues(keys),
    Buffer.from(moment, 'latin1'),
  ]);
  return new Set(
    rows.map(({ sku_id, order_detail_id }) =>
      flowKeyText({ sku_id: textOf(sku_id), order_detail_id: textOf(order_detail_id) }),
    ),
  );
}
