import type { Generation } from '../core/generations.ts';
import type { PastKey, PastRow, PastTable, StateReader } from '../core/lost.ts';
import type { DeadlineMs, ShardIndex } from '../core/nouns.ts';
import { Connection } from './connection.ts';
import type { Address } from './connection.ts';
import { readReached } from './sql/generation.ts';
import { prepareReader } from './sql/prepareReader.ts';
import { readStatePage } from './sql/statePages.ts';

/** What is left of a state before. It need not be fit to be sold from: it is only read, by one reader at a time. */
export class PastShards implements StateReader {
  readonly #addresses: readonly Address[];
  readonly #statementMs: number;
  readonly #open = new Map<ShardIndex, Connection>();

  /** @param statementMs the longest wait for one answer */
  constructor(addresses: readonly Address[], statementMs: number) {
    this.#addresses = addresses;
    this.#statementMs = statementMs;
  }

  async readPage(shard: ShardIndex, table: PastTable, after: PastKey | null, max: number, deadlineMs: DeadlineMs): Promise<readonly PastRow[]> {
    return readStatePage(await this.#connection(shard, deadlineMs), table, after, max, deadlineMs);
  }

  /** How far the state before had come; 0: it does not say. */
  async reached(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<Generation> {
    return (await readReached(await this.#connection(shard, deadlineMs), deadlineMs)).get(shard) ?? 0;
  }

  close(): void {
    for (const connection of this.#open.values()) connection.destroy();
    this.#open.clear();
  }

  async #connection(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<Connection> {
    const known = this.#open.get(shard);
    // The server ends a session that is silent while the other side is read.
    if (known !== undefined && !known.isLost) return known;
    const address = this.#addresses[shard];
    if (address === undefined) throw new RangeError(`the state before has no shard ${shard}`);
    const connection = await Connection.open(address, this.#statementMs);
    this.#open.set(shard, connection);
    await prepareReader(connection, deadlineMs);
    const [found] = await connection.rows<{ shard_index: number }>('SELECT shard_index FROM shard', [], deadlineMs);
    if (found?.shard_index !== shard) throw new Error(`what is said to be shard ${shard} in the state before is ${found === undefined ? 'none' : `shard ${found.shard_index}`}`);
    return connection;
  }
}
