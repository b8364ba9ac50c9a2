import type { Layout } from '../../../core/hot/layout.ts';
import { slotOf } from '../../../core/slots.ts';
import type { DeadlineMs } from '../../../core/types.ts';
import { SERVER_ERROR, ServerError } from '../../connection/failures.ts';
import type { Connection, SqlValue } from '../../connection/connection.ts';
import type { Transaction } from '../../connection/transaction.ts';
import { bytesOf } from '../text/bytes.ts';
import { withLists } from './layoutLists.ts';
import type { LayoutLists, UnreadableLayout } from './layoutLists.ts';

const READ = `
SELECT hot.revision, hot.state, hot.epoch, hot.last_epoch, hot.places, hot.next_places, hot.earlier, hot.shards
  FROM slot LEFT JOIN hot_sku AS hot ON hot.sku_id = ?
 WHERE slot.slot = ?`;
const INSERT = `
INSERT INTO hot_sku (revision, state, epoch, last_epoch, places, next_places, earlier, shards, sku_id, changed_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, CURRENT_TIMESTAMP(6))`;
const UPDATE = `
UPDATE hot_sku
   SET revision = ?, state = ?, epoch = ?, last_epoch = ?, places = ?, next_places = ?, earlier = ?, shards = ?,
       changed_at = CURRENT_TIMESTAMP(6)
 WHERE sku_id = ? AND revision = ?`;
const OPEN_AS_SINGLE =
  'UPDATE stock FORCE INDEX (PRIMARY) SET intake = 1, version = version + 1 ' +
  'WHERE sku_id = ? AND sub_row = 0 AND epoch = ? AND intake = 2 AND version = ?';
const TAKE_OVER =
  'UPDATE hot_sku SET changed_at = CURRENT_TIMESTAMP(6) ' +
  'WHERE sku_id = ? AND changed_at <= CURRENT_TIMESTAMP(6) - INTERVAL ? MICROSECOND';
const TOUCH = 'UPDATE hot_sku SET changed_at = CURRENT_TIMESTAMP(6) WHERE sku_id = ? AND revision = ?';
const TAKE_LEASE = `
UPDATE hot_sku SET lease_token = ?, lease_until = CURRENT_TIMESTAMP(6) + INTERVAL ? MICROSECOND
 WHERE sku_id = ? AND (lease_until IS NULL OR lease_until <= CURRENT_TIMESTAMP(6)
                       OR lease_until > CURRENT_TIMESTAMP(6) + INTERVAL 10 SECOND)`;
const FREE_LEASE = 'UPDATE hot_sku SET lease_until = NULL WHERE sku_id = ? AND lease_token = ?';

/** The numbers of the words in the column's type. */
const STATES = { single: 1, closing: 2, opening: 3, open: 4 } as const;

interface Row extends LayoutLists {
  readonly revision: number | null;
  readonly state: Layout['state'];
  readonly epoch: number;
  readonly last_epoch: number;
}

/**
 * The layout of a SKU, with the proof of ownership in the same snapshot.
 *
 * @returns 'foreign' when the shard does not own the slot; null when the SKU was never split
 */
export async function readLayout(
  connection: Connection,
  sku_id: string,
  shardCount: number,
  deadlineMs: DeadlineMs,
): Promise<Layout | null | 'foreign' | UnreadableLayout> {
  const [row] = await connection.rows<Row>(READ, [bytesOf(sku_id), slotOf(sku_id)], deadlineMs);
  if (row === undefined) return 'foreign';
  if (row.revision === null) return null;
  const { revision, state, epoch, last_epoch: lastEpoch } = row;
  return withLists({ sku_id, revision, state, epoch, lastEpoch }, row, shardCount);
}

/** @returns whether the replaced layout was still the stored one */
export async function replaceLayout(transaction: Pick<Transaction, 'run'>, was: Layout, is: Layout): Promise<boolean> {
  if (was.revision > 0) return (await transaction.run(UPDATE, [...valuesOf(is), was.revision])) === 1;
  try {
    await transaction.run(INSERT, valuesOf(is));
    return true;
  } catch (error) {
    if (error instanceof ServerError && error.number === SERVER_ERROR.duplicateKey) return false;
    throw error;
  }
}

/**
 * Lets the only open row of a SKU take ids without a layout.
 *
 * @returns whether it was open in this epoch, and unchanged since it was read
 */
export async function openAsSingle(
  transaction: Pick<Transaction, 'run'>,
  { sku_id, epoch }: Layout,
  version: number,
): Promise<boolean> {
  return (await transaction.run(OPEN_AS_SINGLE, [bytesOf(sku_id), epoch, version])) === 1;
}

export async function takeOverLayout(
  transaction: Pick<Transaction, 'run'>,
  sku_id: string,
  staleMs: number,
): Promise<boolean> {
  return (await transaction.run(TAKE_OVER, [bytesOf(sku_id), staleMs * 1_000])) === 1;
}

/** @returns whether the layout is still the stored one */
export async function touchLayout(
  transaction: Pick<Transaction, 'run'>,
  { sku_id, revision }: Layout,
): Promise<boolean> {
  return (await transaction.run(TOUCH, [bytesOf(sku_id), revision])) === 1;
}

/** @param token 32 hexadecimal digits */
export async function takeLease(
  transaction: Pick<Transaction, 'run'>,
  sku_id: string,
  token: string,
  leaseMs: number,
): Promise<boolean> {
  return (await transaction.run(TAKE_LEASE, [Buffer.from(token, 'hex'), leaseMs * 1_000, bytesOf(sku_id)])) === 1;
}

export async function freeLease(transaction: Pick<Transaction, 'run'>, sku_id: string, token: string): Promise<void> {
  await transaction.run(FREE_LEASE, [bytesOf(sku_id), Buffer.from(token, 'hex')]);
}

function valuesOf({
  sku_id,
  revision,
  state,
  epoch,
  lastEpoch,
  placement,
  nextPlacement,
  earlierPlacements,
  shards,
}: Layout): SqlValue[] {
  return [
    ...[
      revision,
      STATES[state],
      epoch,
      lastEpoch,
      listOf(placement),
      nextPlacement === null ? null : listOf(nextPlacement),
      listOf(earlierPlacements),
      listOf(shards),
    ],
    bytesOf(sku_id),
  ];
}

/** Numbers only, so ASCII. */
function listOf(list: readonly unknown[]): Buffer {
  return Buffer.from(JSON.stringify(list), 'latin1');
}
