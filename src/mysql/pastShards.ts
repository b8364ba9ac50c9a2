import { HALF_COPIED, NOTHING, shownBy } from '../core/generations.ts';
import type { Generation } from '../core/generations.ts';
import type { StateKey, StateReader, StateRow, StateTable } from '../core/lost.ts';
import type { DeadlineMs, ShardIndex } from '../core/nouns.ts';
import { Connection } from './connection.ts';
import type { Address } from './connection.ts';
import { GATEWAY_LEVEL } from './schemaLevel.ts';
import { readReached } from './sql/generation.ts';
import { prepareReader } from './sql/prepareReader.ts';
import { setSession } from './sql/prepareSession.ts';
import { readStatePage } from './sql/statePages.ts';

/** A server that is there answers sooner. */
const CONNECT_MS = 10_000;
/** A day: longer than this can take. */
const SILENT_SECONDS = 86_400;

/** What is left of a state before, as it is at the first look. It need not be fit to be sold from: it is only read, by one reader at a time. */
export class PastShards implements StateReader {
  readonly #addresses: readonly Address[];
  readonly #statementMs: number;
  readonly #open = new Map<ShardIndex, Connection>();

  /** @param statementMs the longest wait for one answer */
  constructor(addresses: readonly Address[], statementMs: number) {
    this.#addresses = addresses;
    this.#statementMs = statementMs;
  }

  async readPage(
    shard: ShardIndex,
    table: StateTable,
    after: StateKey | null,
    max: number,
    deadlineMs: DeadlineMs,
  ): Promise<readonly StateRow[]> {
    return readStatePage(await this.#connection(shard, deadlineMs), table, after, max, deadlineMs);
  }

  /** How far the state before had come; 0: it does not say, or is none, because another one was copied over it and not to the end. */
  async reached(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<Generation> {
    const { shows, mark } = shownBy(await readReached(await this.#connection(shard, deadlineMs), deadlineMs), shard);
    return mark === HALF_COPIED ? NOTHING : shows;
  }

  /** How many rows there are, as the server thinks: for a progress bar. */
  async countRows(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<number> {
    const connection = await this.#connection(shard, deadlineMs);
    const [row] = await connection.rows<{ count: number | null }>(
      'SELECT CAST(SUM(table_rows) AS SIGNED) AS count FROM information_schema.tables WHERE table_schema = DATABASE()',
      [],
      deadlineMs,
    );
    return Number(row?.count ?? 0);
  }

  close(): void {
    for (const connection of this.#open.values()) connection.destroy();
    this.#open.clear();
  }

  async #connection(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<Connection> {
    const known = this.#open.get(shard);
    if (known !== undefined) return known;
    const address = this.#addresses[shard];
    if (address === undefined) throw new RangeError(`the state before has no shard ${shard}`);
    const connection = await Connection.open(address, this.#statementMs, CONNECT_MS);
    this.#open.set(shard, connection);
    await prepareReader(connection, deadlineMs);
    const [found] = await connection.rows<{ shard_index: number; schema_level: number }>(
      'SELECT shard_index, schema_level FROM shard',
      [],
      deadlineMs,
    );
    if (found?.shard_index !== shard)
      throw new Error(
        `what is said to be shard ${shard} in the state before is ${found === undefined ? 'none' : `shard ${found.shard_index}`}`,
      );
    if (found.schema_level < GATEWAY_LEVEL)
      throw new Error(
        `shard ${shard} in the state before has a schema of level ${found.schema_level}, which is too old to be copied`,
      );
    // A replica may go on; and the session is silent while the other side is written.
    await setSession(connection, 'wait_timeout', SILENT_SECONDS, deadlineMs);
    await connection.run('START TRANSACTION WITH CONSISTENT SNAPSHOT', [], deadlineMs);
    return connection;
  }
}
