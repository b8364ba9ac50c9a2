import {
  MARK_CLOSED,
  MARK_COPYING,
  NO_WATERMARK,
  OWN_WATERMARK_KEY,
  ownWatermarkOf,
  REFERENCE_WATERMARK_KEY,
} from '../../../core/restore/watermarks.ts';
import type { Watermark, Mark, StoredWatermarks } from '../../../core/restore/watermarks.ts';
import type { ClosedShard } from '../../../core/ports/restoredShards.ts';
import type { DeadlineMs, ShardIndex } from '../../../core/types.ts';
import type { Connection } from '../../connection/connection.ts';
import type { Transaction } from '../../connection/transaction.ts';

/**
 * A watermark is raised no more often, however many gateways there are. Lost sales of this time may remain unnoticed.
 */
export const RAISE_EVERY_MS = 1_000;

/** A gateway may remember a slightly higher watermark than the shards have stored. */
const AHEAD_MICROS = 30_000_000;

const NOW = 'CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS UNSIGNED)';
const READ = 'SELECT shard_index, reached FROM generation';
const BEGIN = `INSERT INTO generation (shard_index, reached) VALUES (?, ${NOW})
  ON DUPLICATE KEY UPDATE reached = reached`;
/** The watermark of a shard that was restored or marked since it was read is left as it is. */
const MOVE = `UPDATE generation SET reached = GREATEST(reached + 1, ${NOW})
  WHERE shard_index = ? AND reached >= ? AND reached NOT IN (${MARK_COPYING}, ${MARK_CLOSED})`;
const PUT = 'INSERT INTO generation (shard_index, reached) VALUES ? ON DUPLICATE KEY UPDATE reached = VALUES(reached)';
const NOTE_OTHERS =
  'INSERT INTO generation (shard_index, reached) VALUES ? ' +
  'ON DUPLICATE KEY UPDATE reached = GREATEST(reached, VALUES(reached))';
const ACCEPT = `INSERT INTO generation (shard_index, reached) VALUES (?, GREATEST(?, ${NOW}))
  ON DUPLICATE KEY UPDATE reached = GREATEST(reached, VALUES(reached))`;

/** The watermarks that a shard has stored, of itself and of the others. */
export async function readWatermarks(connection: Connection, deadlineMs: DeadlineMs): Promise<StoredWatermarks> {
  const rows = await connection.rows<{ shard_index: number; reached: number }>(READ, [], deadlineMs);
  return new Map(rows.map(({ shard_index, reached }) => [shard_index, Number(reached)]));
}

/**
 * Raises a shard's watermark to its present moment, and stores the known watermarks of the others; not in a
 * transaction.
 *
 * @param known its watermark, as far as is known; 0: it may have no row yet
 */
export async function raiseWatermark(
  connection: Connection,
  shard: ShardIndex,
  known: Watermark,
  others: StoredWatermarks,
  deadlineMs: DeadlineMs,
): Promise<void> {
  const notes = [...others].map((row) => [...row]);
  const [begin, begun] = known === 0 ? [[BEGIN], [shard]] : [[], []];
  const [note, noted] = notes.length === 0 ? [[], []] : [[NOTE_OTHERS], [notes]];
  await connection.script([...begin, MOVE, ...note], [...begun, shard, known, ...noted], deadlineMs);
}

/**
 * Marks a shard as closed, and stores its watermark. A shard that is marked already stays as it is.
 *
 * @param transaction locks the rows, so that the watermark is not raised meanwhile: others would remember a higher one
 *   than is stored
 * @param known the highest watermark that is remembered of it. A shard that shows no less gets the present moment as
 *   its watermark, so that every earlier dump shows less. One that shows less keeps its watermark, which tells since
 *   when data is missing.
 */
export async function closeShard(transaction: Transaction, shard: ShardIndex, known: Watermark): Promise<ClosedShard> {
  const rows = await transaction.rows<{ shard_index: number; reached: number }>(`${READ} FOR UPDATE`, []);
  const { watermark, mark } = ownWatermarkOf(
    new Map(rows.map(({ shard_index, reached }) => [shard_index, Number(reached)])),
    shard,
  );
  if (mark !== null) return { isNew: false, watermark };
  const [clock] = await transaction.rows<{ now: number }>(`SELECT ${NOW} AS now`, []);
  const reached = watermark < known ? watermark : Math.max(watermark + 1, Number(clock?.now ?? 0));
  await transaction.run(PUT, [
    [
      [shard, MARK_CLOSED],
      [OWN_WATERMARK_KEY, reached],
      [REFERENCE_WATERMARK_KEY, NO_WATERMARK],
    ],
  ]);
  return { isNew: true, watermark: reached };
}

/** Stores the watermark of another shard on this one, unless it has a higher one. Not in a transaction. */
export async function storeWatermark(
  connection: Connection,
  of: ShardIndex,
  reached: Watermark,
  deadlineMs: DeadlineMs,
): Promise<void> {
  await connection.run(NOTE_OTHERS, [[[of, reached]]], deadlineMs);
}

/**
 * Changes the mark of a closed shard.
 *
 * @param reached the watermark of the reference copy that is copied over it, or was
 */
export async function setMark(
  connection: Connection,
  shard: ShardIndex,
  mark: Mark,
  reached: Watermark,
  deadlineMs: DeadlineMs,
): Promise<void> {
  await connection.run(
    PUT,
    [
      [
        [shard, mark],
        [REFERENCE_WATERMARK_KEY, reached],
      ],
    ],
    deadlineMs,
  );
}

/**
 * Accepts a restored shard: its watermark becomes higher than any that is remembered of it, and its mark is removed.
 *
 * @param known its highest watermark before
 */
export async function acceptAsRestored(
  connection: Connection,
  shard: ShardIndex,
  known: Watermark,
  deadlineMs: DeadlineMs,
): Promise<void> {
  await connection.run(ACCEPT, [shard, known + AHEAD_MICROS], deadlineMs);
}
