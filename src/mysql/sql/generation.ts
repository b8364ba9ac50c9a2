import { CLOSED, HALF_COPIED, NOTHING, SHOWED_BEFORE, shownBy, STATE_REACHED } from '../../core/generations.ts';
import type { Generation, Mark, Reached } from '../../core/generations.ts';
import type { ClosedShard } from '../../core/lost.ts';
import type { DeadlineMs, ShardIndex } from '../../core/nouns.ts';
import type { Connection } from '../connection.ts';
import type { Transaction } from '../transaction.ts';

/** However many gateways there are, a shard is moved on no more often: so much may be lost unseen. */
export const MOVE_EVERY_MS = 1_000;

/** A gateway may know a little more than the shards have written down. */
const AHEAD_MICROS = 30_000_000;

const NOW = 'CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS UNSIGNED)';
const READ = 'SELECT shard_index, reached FROM generation';
const BEGIN = `INSERT INTO generation (shard_index, reached) VALUES (?, ${NOW}) ON DUPLICATE KEY UPDATE reached = reached`;
/** One that was restored or marked since we looked is left as it is. */
const MOVE = `UPDATE generation SET reached = GREATEST(reached + 1, ${NOW}) WHERE shard_index = ? AND reached >= ? AND reached NOT IN (${HALF_COPIED}, ${CLOSED})`;
const PUT = 'INSERT INTO generation (shard_index, reached) VALUES ? ON DUPLICATE KEY UPDATE reached = VALUES(reached)';
const NOTE_OTHERS =
  'INSERT INTO generation (shard_index, reached) VALUES ? ON DUPLICATE KEY UPDATE reached = GREATEST(reached, VALUES(reached))';
const ACCEPT = `INSERT INTO generation (shard_index, reached) VALUES (?, GREATEST(?, ${NOW})) ON DUPLICATE KEY UPDATE reached = GREATEST(reached, VALUES(reached))`;

/** What a shard has written down of itself and the others. */
export async function readReached(connection: Connection, deadlineMs: DeadlineMs): Promise<Reached> {
  const rows = await connection.rows<{ shard_index: number; reached: number }>(READ, [], deadlineMs);
  return new Map(rows.map(({ shard_index, reached }) => [shard_index, Number(reached)]));
}

/**
 * Moves a shard on to its present moment, and writes down what is known of the others; not in a transaction.
 *
 * @param known what it has reached, as far as is known; 0: it may have no row yet
 */
export async function moveOn(
  connection: Connection,
  shard: ShardIndex,
  known: Generation,
  others: Reached,
  deadlineMs: DeadlineMs,
): Promise<void> {
  const notes = [...others].map((row) => [...row]);
  const [begin, begun] = known === 0 ? [[BEGIN], [shard]] : [[], []];
  const [note, noted] = notes.length === 0 ? [[], []] : [[NOTE_OTHERS], [notes]];
  await connection.script([...begin, MOVE, ...note], [...begun, shard, known, ...noted], deadlineMs);
}

/**
 * Marks a shard as closed, and writes down how far it has come. One that is marked stays as it is.
 *
 * @param transaction in which nobody moves it on meanwhile: others would remember more of it than is written down
 * @param known the furthest that is remembered of it. A shard that shows no less is advanced to the present moment,
 * so that every
 *   dump which was made before shows less. One that shows less keeps what it shows: that says since when something is
 * missing.
 */
export async function closeShard(transaction: Transaction, shard: ShardIndex, known: Generation): Promise<ClosedShard> {
  const rows = await transaction.rows<{ shard_index: number; reached: number }>(`${READ} FOR UPDATE`, []);
  const { shows, mark } = shownBy(
    new Map(rows.map(({ shard_index, reached }) => [shard_index, Number(reached)])),
    shard,
  );
  if (mark !== null) return { isNew: false, reached: shows };
  const [clock] = await transaction.rows<{ now: number }>(`SELECT ${NOW} AS now`, []);
  const reached = shows < known ? shows : Math.max(shows + 1, Number(clock?.now ?? 0));
  await transaction.run(PUT, [
    [
      [shard, CLOSED],
      [SHOWED_BEFORE, reached],
      [STATE_REACHED, NOTHING],
    ],
  ]);
  return { isNew: true, reached };
}

/** Writes down on one shard how far another has come, unless it remembers more. Not in a transaction. */
export async function noteReached(
  connection: Connection,
  of: ShardIndex,
  reached: Generation,
  deadlineMs: DeadlineMs,
): Promise<void> {
  await connection.run(NOTE_OTHERS, [[[of, reached]]], deadlineMs);
}

/** Marks a closed shard otherwise. @param reached how far the state goes that is copied over it, or was */
export async function setMark(
  connection: Connection,
  shard: ShardIndex,
  mark: Mark,
  reached: Generation,
  deadlineMs: DeadlineMs,
): Promise<void> {
  await connection.run(
    PUT,
    [
      [
        [shard, mark],
        [STATE_REACHED, reached],
      ],
    ],
    deadlineMs,
  );
}

/** Takes a restored shard for what it is: it is ahead of whatever is known of it, and not marked. @param known the furthest it had come */
export async function acceptAsRestored(
  connection: Connection,
  shard: ShardIndex,
  known: Generation,
  deadlineMs: DeadlineMs,
): Promise<void> {
  await connection.run(ACCEPT, [shard, known + AHEAD_MICROS], deadlineMs);
}
