import type { Connection, RowDataPacket } from 'mysql2/promise';
import type {
  CartRow,
  FinalState,
  FlowRow,
  LayoutRow,
  LineKey,
  RecordRow,
  StoredStockRow,
  TransferRow,
} from '../history.ts';
import type { ProofWorld } from '../world.ts';

/** If a shard does not answer within this time, the result of the round is `unknown`. */
const QUERY_MS_MAX = 15_000;

/**
 * Reads all rows of a round from all shards, each in one snapshot, without the proxies.
 *
 * @throws when a shard cannot be read
 */
export async function readFinalState(world: ProofWorld, prefix: string): Promise<FinalState> {
  const shards = await Promise.all([...world.stack.shards.keys()].map((shard) => readShard(world, prefix, shard)));
  return {
    stock: shards.flatMap(({ stock }) => stock),
    flows: shards.flatMap(({ flows }) => flows),
    pointers: shards.flatMap(({ pointers }) => pointers),
    returns: shards.flatMap(({ returns }) => returns),
    adjustments: shards.flatMap(({ adjustments }) => adjustments),
    holds: shards.flatMap(({ holds }) => holds),
    carts: shards.flatMap(({ carts }) => carts),
    records: shards.flatMap(({ records }) => records),
    transfers: shards.flatMap(({ transfers }) => transfers),
    layouts: shards.flatMap(({ layouts }) => layouts),
  };
}

/** Whether a cart or a change of layout still has something to complete or undo. */
export function isInProgress({ stock, flows, holds, carts, transfers, layouts }: FinalState): boolean {
  return (
    holds.length > 0 ||
    carts.some(({ state }) => state === 'open') ||
    flows.some(({ status }) => status === 'pending') ||
    stock.some(({ isOpen, leaved_amount, held_amount }) => held_amount !== 0 || (!isOpen && leaved_amount !== 0)) ||
    transfers.some(({ isOpen }) => isOpen) ||
    layouts.some(
      ({ state, rowShards, earlier_count }) =>
        state !== (rowShards.length > 1 ? 'open' : 'single') || earlier_count > 0,
    )
  );
}

async function readShard(world: ProofWorld, prefix: string, shard: number): Promise<FinalState> {
  const session = await world.session(world.serverOf(shard), shard);
  try {
    const rows = await readRows(session, prefix);
    return {
      stock: rows.stock.map((row) => stockRow(row, shard)),
      flows: rows.flows.filter(({ status }) => status !== 'moved').map((row) => flowRow(row, shard)),
      pointers: rows.flows
        .filter(({ status }) => status === 'moved')
        .map((row) => ({ ...line(row), moved_to: Number(row['moved_to'] ?? -1), shard })),
      returns: rows.returns.map((row) => ({
        ...line(row),
        return_id: text(row, 'return_id'),
        quantity: Number(row['quantity']),
        shard,
      })),
      adjustments: rows.adjustments.map((row) => ({
        sku_id: text(row, 'sku_id'),
        adjustment_id: text(row, 'adjustment_id'),
        delta: Number(row['delta']),
        shard,
      })),
      holds: rows.holds.map((row) => ({ ...line(row), order_id: text(row, 'order_id'), shard })),
      carts: rows.carts.map((row) => cartRow(row, shard)),
      records: rows.records.map((row) => recordRow(row, shard)),
      transfers: rows.transfers.map((row) => transferRow(row, shard)),
      layouts: rows.layouts.map((row) => layoutRow(row, shard)),
    };
  } finally {
    session.destroy();
  }
}

/** The rows of each table in one snapshot. */
async function readRows(session: Connection, prefix: string): Promise<Record<keyof Tables, RowDataPacket[]>> {
  // The ids of a round have a common prefix, so they are one range of the primary key.
  const values = [Buffer.from(`${prefix}-`), Buffer.from(`${prefix}.`)];
  const query = async (sql: string): Promise<RowDataPacket[]> =>
    (await session.query<RowDataPacket[]>({ sql, values, timeout: QUERY_MS_MAX }))[0];
  const rows = (sql: string, key = 'sku_id'): Promise<RowDataPacket[]> =>
    query(`${sql} WHERE ${key} > ? AND ${key} < ?`);
  await query('START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY');
  return {
    stock: await rows(
      'SELECT sku_id, sub_row, intake, opening_amount, leaved_amount, held_amount, sale_state FROM stock',
    ),
    flows: await rows(
      `SELECT sku_id, order_detail_id, order_id, quantity, status, attempt, returned, sub_row, moved_to,
              LOWER(HEX(transaction_id)) AS transaction_id, coordinator
       FROM flow`,
    ),
    returns: await rows('SELECT sku_id, order_detail_id, return_id, quantity FROM flow_return'),
    adjustments: await rows('SELECT sku_id, adjustment_id, delta FROM adjustment'),
    holds: await rows('SELECT sku_id, order_detail_id, order_id FROM cart_hold'),
    carts: await rows('SELECT order_id, attempt, state, order_lines FROM cart', 'order_id'),
    records: await rows(
      `SELECT LOWER(HEX(order_record.transaction_id)) AS transaction_id, state, order_id, order_lines,
              aborted_record.transaction_id IS NOT NULL AS is_listed
       FROM order_record LEFT JOIN aborted_record ON aborted_record.transaction_id = order_record.transaction_id`,
      'order_id',
    ),
    transfers: await rows(
      `SELECT sku_id, HEX(transfer_id) AS transfer_id, direction, sub_row, amount, other_shard, other_sub_row, is_open
       FROM transfer`,
    ),
    layouts: await rows('SELECT sku_id, state, places, earlier, shards FROM hot_sku'),
  };
}

/** Pointers are rows of the table of the flows. */
type Tables = Omit<FinalState, 'pointers'>;

function text(row: RowDataPacket, column: string): string {
  return String(row[column]);
}

function line(row: RowDataPacket): LineKey {
  return { sku_id: text(row, 'sku_id'), order_detail_id: text(row, 'order_detail_id') };
}

function stockRow(row: RowDataPacket, shard: number): StoredStockRow {
  return {
    sku_id: text(row, 'sku_id'),
    sub_row: Number(row['sub_row']),
    isOpen: text(row, 'intake') !== 'none',
    opening_amount: Number(row['opening_amount']),
    leaved_amount: Number(row['leaved_amount']),
    held_amount: Number(row['held_amount']),
    sale_state: text(row, 'sale_state') as StoredStockRow['sale_state'],
    shard,
  };
}

function flowRow(row: RowDataPacket, shard: number): FlowRow {
  return {
    ...line(row),
    order_id: text(row, 'order_id'),
    quantity: Number(row['quantity']),
    status: text(row, 'status') as FlowRow['status'],
    attempt: Number(row['attempt']),
    transaction:
      row['transaction_id'] === null
        ? null
        : { transaction_id: text(row, 'transaction_id'), coordinator: Number(row['coordinator']) },
    returned: Number(row['returned']),
    sub_row: Number(row['sub_row']),
    shard,
  };
}

function cartRow(row: RowDataPacket, shard: number): CartRow {
  return {
    order_id: text(row, 'order_id'),
    attempt: Number(row['attempt']),
    state: text(row, 'state') as CartRow['state'],
    lines: (JSON.parse(text(row, 'order_lines')) as [string, string, number][]).map(
      ([sku_id, order_detail_id, quantity]) => ({ sku_id, order_detail_id, quantity }),
    ),
    shard,
  };
}

function recordRow(row: RowDataPacket, shard: number): RecordRow {
  return {
    transaction_id: text(row, 'transaction_id'),
    state: text(row, 'state') as RecordRow['state'],
    order_id: text(row, 'order_id'),
    lines: (JSON.parse(text(row, 'order_lines')) as [string, string, number, number][]).map(
      ([sku_id, order_detail_id, quantity, ofLine]) => ({ sku_id, order_detail_id, quantity, shard: ofLine }),
    ),
    isListed: row['is_listed'] === 1,
    shard,
  };
}

function transferRow(row: RowDataPacket, shard: number): TransferRow {
  return {
    sku_id: text(row, 'sku_id'),
    transfer_id: text(row, 'transfer_id'),
    direction: text(row, 'direction') as TransferRow['direction'],
    amount: Number(row['amount']),
    isOpen: row['is_open'] === 1,
    sub_row: Number(row['sub_row']),
    shard,
    other: { shard: Number(row['other_shard']), sub_row: Number(row['other_sub_row']) },
  };
}

function layoutRow(row: RowDataPacket, shard: number): LayoutRow {
  return {
    sku_id: text(row, 'sku_id'),
    state: text(row, 'state') as LayoutRow['state'],
    rowShards: JSON.parse(text(row, 'places')) as number[],
    earlier_count: (JSON.parse(text(row, 'earlier')) as unknown[]).length,
    shards: JSON.parse(text(row, 'shards')) as number[],
    shard,
  };
}
