import { HALF_COPIED, SHOWED_BEFORE, STATE_REACHED } from '../../core/generations.ts';
import type { Generation, Reached } from '../../core/generations.ts';
import type { DeadlineMs, ShardIndex } from '../../core/nouns.ts';
import type { Connection } from '../connection.ts';

/** However many gateways there are, a shard is moved on no more often: so much may be lost unseen. */
export const MOVE_EVERY_MS = 1_000;

/** A gateway may know a little more than the shards have written down, and the new server's clock may be behind. */
const AHEAD_MICROS = 60_000_000;

const NOW = 'CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS UNSIGNED)';
const READ = 'SELECT shard_index, reached FROM generation';
const BEGIN = `INSERT INTO generation (shard_index, reached) VALUES (?, ${NOW}) ON DUPLICATE KEY UPDATE reached = reached`;
/** One that was restored since we looked is left as it is. */
const MOVE = `UPDATE generation SET reached = GREATEST(reached + 1, ${NOW}) WHERE shard_index = ? AND reached >= ? AND reached <> ${HALF_COPIED}`;
const NOTE_OTHERS = 'INSERT INTO generation (shard_index, reached) VALUES ? ON DUPLICATE KEY UPDATE reached = GREATEST(reached, VALUES(reached))';
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
export async function moveOn(connection: Connection, shard: ShardIndex, known: Generation, others: Reached, deadlineMs: DeadlineMs): Promise<void> {
  const notes = [...others].map((row) => [...row]);
  const [begin, begun] = known === 0 ? [[BEGIN], [shard]] : [[], []];
  const [note, noted] = notes.length === 0 ? [[], []] : [[NOTE_OTHERS], [notes]];
  await connection.script([...begin, MOVE, ...note], [...begun, shard, known, ...noted], deadlineMs);
}

/** A moment to which nobody will have moved a shard on before he hears of it. @param known the furthest it is known to have come */
export async function readBeyond(connection: Connection, known: Generation, deadlineMs: DeadlineMs): Promise<Generation> {
  const [row] = await connection.rows<{ now: number }>(`SELECT ${NOW} AS now`, [], deadlineMs);
  return Math.max(Number(row?.now), known) + AHEAD_MICROS;
}

/** Makes a shard show something less than it had reached, and no copying any more; nobody who knows better moves it on from there. */
export async function show(connection: Connection, shard: ShardIndex, generation: Generation, deadlineMs: DeadlineMs): Promise<void> {
  const sqls = ['INSERT INTO generation (shard_index, reached) VALUES (?, ?) ON DUPLICATE KEY UPDATE reached = VALUES(reached)', 'DELETE FROM generation WHERE shard_index IN (?)'];
  await connection.script(sqls, [shard, generation, [SHOWED_BEFORE, STATE_REACHED]], deadlineMs);
}

/** Makes a shard show that a state is being copied over it. @param showed what it shows otherwise @param reached how far that state goes */
export async function showHalfCopied(connection: Connection, shard: ShardIndex, showed: Generation, reached: Generation, deadlineMs: DeadlineMs): Promise<void> {
  const rows = [[shard, HALF_COPIED], [SHOWED_BEFORE, showed], [STATE_REACHED, reached]];
  await connection.run('INSERT INTO generation (shard_index, reached) VALUES ? ON DUPLICATE KEY UPDATE reached = VALUES(reached)', [rows], deadlineMs);
}

/** Writes down what is known of other shards, unless more of them is written down here. @param others at least one */
export async function noteOthers(connection: Connection, others: Reached, deadlineMs: DeadlineMs): Promise<void> {
  await connection.run(NOTE_OTHERS, [[...others].map((row) => [...row])], deadlineMs);
}

/** Takes a restored shard for what it is: it is ahead of whatever is known of it. @param known the furthest it had come */
export async function acceptAsRestored(connection: Connection, shard: ShardIndex, known: Generation, deadlineMs: DeadlineMs): Promise<void> {
  await connection.run(ACCEPT, [shard, known + AHEAD_MICROS], deadlineMs);
}
