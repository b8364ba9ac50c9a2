import { MARK_COPYING, NO_WATERMARK, ownWatermarkOf } from '../../core/restore/watermarks.ts';
import type { Watermark } from '../../core/restore/watermarks.ts';
import type { StateReader } from '../../core/ports/stateReader.ts';
import type { StateKey, StateRow, StateTable } from '../../core/restore/stateRows.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { Connection } from '../connection/connection.ts';
import type { Address } from '../connection/connection.ts';
import { GATEWAY_LEVEL } from '../migrations/schemaLevel.ts';
import { readWatermarks } from '../sql/restore/watermarks.ts';
import { prepareReader } from '../sql/session/prepareReader.ts';
import { setSession } from '../sql/session/prepareSession.ts';
import { readStatePage } from '../sql/restore/statePages.ts';

/** A server that is up answers sooner. */
const CONNECT_MS = 10_000;
/** A day, which is longer than a copy can take. */
const SILENT_SECONDS = 86_400;

/**
 * The reference copy of shards, as it is at the first read. It need not be fit to sell from: it is only read, by one
 * reader at a time.
 */
export class ReferenceCopy implements StateReader {
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

  /** The watermark of the reference copy. 0: it has none, or another copy was written over it, but not completely. */
  async reached(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<Watermark> {
    const { watermark, mark } = ownWatermarkOf(
      await readWatermarks(await this.#connection(shard, deadlineMs), deadlineMs),
      shard,
    );
    return mark === MARK_COPYING ? NO_WATERMARK : watermark;
  }

  /** The server's estimate of the number of rows, for a progress bar. */
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
    if (address === undefined) throw new RangeError(`the reference copy has no shard ${shard}`);
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
        `the schema named as shard ${shard} of the reference copy has ` +
          (found === undefined ? 'no row in its table shard' : `the data of shard ${found.shard_index}`),
      );
    if (found.schema_level < GATEWAY_LEVEL)
      throw new Error(
        `shard ${shard} of the reference copy has schema level ${found.schema_level}, which is too old to be copied ` +
          `(needed: at least ${GATEWAY_LEVEL})`,
      );
    // The copy may be a replica that still changes, hence the snapshot. The session is idle while the other side is
    // written.
    await setSession(connection, 'wait_timeout', SILENT_SECONDS, deadlineMs);
    await connection.run('START TRANSACTION WITH CONSISTENT SNAPSHOT', [], deadlineMs);
    return connection;
  }
}
