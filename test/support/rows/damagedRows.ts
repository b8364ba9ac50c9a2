import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import type { Logger } from 'pino';
import { fresh } from '../gateway/gateway.ts';
import type { TestGateway } from '../gateway/gateway.ts';
import type { OwnShards } from './ownShards.ts';
import { skuOn } from '../engines/traffic.ts';

/** Old enough for every sweeper. */
const LONG_AGO = 'NOW(6) - INTERVAL 10 MINUTE';
/** Contents that are not a list of lines. */
export const DAMAGED_LINES = ['not json', '{"a":1}', '[["sku"]]', '[[1,"detail",1]]'];

/** One line of a log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** A log that keeps its lines. */
export function keptLog(): { readonly log: Logger; readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const sink = new Writable({ write: (chunk, _, done) => done(void lines.push(JSON.parse(String(chunk)) as LogLine)) });
  return { log: pino({ level: 'info' }, sink), lines };
}

/** An unfinished order on one shard: its record, and one unit that it holds there. */
export interface LeftCart {
  readonly order_id: string;
  readonly sku_id: string;
}

/** Makes a statement that changes the records of an order, in the table of either protocol. */
export const RECORD_TABLES = { cart: 'cart', transaction: 'order_record' } as const;
export type LeftBy = keyof typeof RECORD_TABLES;

interface LeftCartOptions {
  readonly shard: number;
  readonly state: 'open' | 'committed' | 'aborted';
  /** The content of the record; null: the held line. */
  readonly lines: string | null;
  /** Absent: a cart with attempts. An open transaction has no record. */
  readonly by?: LeftBy;
}

/** Writes a record and a hold as an unfinished order leaves them, with a new SKU that has no other units. */
export async function leaveCart(
  own: OwnShards,
  { shard, state, lines, by = 'cart' }: LeftCartOptions,
): Promise<LeftCart> {
  const idOn = (name: string): string => skuOn(shard, fresh(name), own.initialShards);
  const [order_id, sku_id] = [idOn('left order'), idOn('left')];
  const insert = (table: string, columns: string, values: string): Promise<unknown> =>
    own.query(shard, `INSERT INTO ${table} (${columns}) VALUES (${values})`);
  const order_lines = lines ?? JSON.stringify([[sku_id, order_id, 1, shard]]);
  const decided = state === 'open' ? 'NULL' : LONG_AGO;
  const key = `'${sku_id}', '${order_id}', '${order_id}'`;
  await insert('stock', 'sku_id, sub_row, opening_amount, leaved_amount, held_amount', `'${sku_id}', 0, 1, 0, 1`);
  // The first digits of a transaction are the time of its beginning: this one is old.
  const id = `X'000000000000${randomBytes(10).toString('hex')}'`;
  const attempt = by === 'cart' ? '1, NULL, NULL' : `0, ${id}, ${shard}`;
  const columns = 'sku_id, order_detail_id, order_id, attempt, transaction_id, coordinator';
  await insert('flow', `${columns}, quantity, status`, `${key}, ${attempt}, 1, 'pending'`);
  await insert('cart_hold', `${columns}, created_at`, `${key}, ${attempt}, ${LONG_AGO}`);
  if (by === 'cart') {
    const record = `'${order_id}', 1, 'token', '${state}', '${order_lines}', ${LONG_AGO}, ${decided}`;
    await insert('cart', 'order_id, attempt, token, state, order_lines, created_at, decided_at', record);
  } else if (state !== 'open') {
    const record = `${id}, '${state}', '${order_id}', '${order_lines}'`;
    await insert('order_record', 'transaction_id, state, order_id, order_lines', record);
  }
  return { order_id, sku_id };
}

/** How many holds there are on a shard. */
export async function holdsOn(own: OwnShards, shard: number): Promise<number> {
  return Number((await own.query(shard, 'SELECT COUNT(*) AS holds FROM cart_hold'))[0]?.['holds']);
}

/** The gateway's count of damaged rows of a kind on a shard. */
export async function unreadableRows(gateway: TestGateway, kind: string, shard: number): Promise<number> {
  const { text } = await gateway.adminGet('/metrics');
  const series = new RegExp(`^stockgate_unreadable_rows\\{kind="${kind}",shard="own-${shard}"\\} (\\d+)$`, 'm');
  return Number(series.exec(text)?.[1] ?? NaN);
}
