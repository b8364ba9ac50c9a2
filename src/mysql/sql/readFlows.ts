import type { CartKey, DeadlineMs, Flow, FlowKey } from '../../core/nouns.ts';
import type { Connection, SqlValue } from '../connection.ts';
import { bytesOf } from './bytes.ts';
import { FLOW_COLUMNS, flowOf } from './lockFlows.ts';
import type { FlowRow } from './lockFlows.ts';
import { scopeOf } from './readBalances.ts';

const KEY = '(sku_id = ? AND order_detail_id = ?)';
const CART = '(order_id = ? AND attempt = ?)';

/** Flows as they are committed; takes no lock and waits for nobody. @param keys at least one */
export async function readFlows(connection: Connection, keys: readonly FlowKey[], deadlineMs: DeadlineMs): Promise<Flow[]> {
  const sql = `SELECT ${FLOW_COLUMNS} FROM flow WHERE ${keys.map(() => KEY).join(' OR ')}`;
  return read(connection, sql, keys.flatMap((key) => [bytesOf(key.sku_id), bytesOf(key.order_detail_id)]), deadlineMs);
}

/** What some carts sold, as their flows say; no index has the order, so it looks at them all. @param carts at least one; @param sku_ids null: all */
export async function findFlowsOfCarts(connection: Connection, carts: readonly CartKey[], sku_ids: readonly string[] | null, deadlineMs: DeadlineMs): Promise<Flow[]> {
  const scope = scopeOf(sku_ids);
  const sql = `SELECT ${FLOW_COLUMNS} FROM (SELECT * FROM flow${scope.sql}) AS flow WHERE status = 'deducted' AND (${carts.map(() => CART).join(' OR ')})`;
  return read(connection, sql, [...scope.values, ...carts.flatMap(({ order_id, attempt }) => [bytesOf(order_id), attempt])], deadlineMs);
}

async function read(connection: Connection, sql: string, values: readonly SqlValue[], deadlineMs: DeadlineMs): Promise<Flow[]> {
  return (await connection.rows<FlowRow>(sql, values, deadlineMs)).map(flowOf);
}
