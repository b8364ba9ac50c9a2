import { RowsAway } from '../../core/hotPorts.ts';
import type { HotRows, StandingId } from '../../core/hotPorts.ts';
import { flowKeyText } from '../../core/nouns.ts';
import type { DeadlineMs, FlowKey, ShardIndex } from '../../core/nouns.ts';

/** Ids in one question. MariaDB makes no ranges of a list with a thousand values, and each id has two. */
const KEYS_MAX = 400;

interface Asked {
  readonly key: FlowKey;
  readonly deadlineMs: DeadlineMs;
  resolve(found: StandingId | null): void;
  reject(error: unknown): void;
}

/** Asks shards whether ids stand there; all who ask at the same time share a question. */
export class Locator {
  readonly #rows: HotRows;
  readonly #waiting = new Map<ShardIndex, Asked[]>();

  constructor(rows: HotRows) {
    this.#rows = rows;
  }

  /**
   * @returns where the flow lies, or null when nothing stands under the ids there
   * @throws RowsAway when the shard does not answer before the deadline
   */
  find(shard: ShardIndex, key: FlowKey, deadlineMs: DeadlineMs): Promise<StandingId | null> {
    return new Promise((resolve, reject) => {
      // A question that is shared lasts as long as the most patient asker; the others must not wait for that.
      const giveUp = (): void => reject(new RowsAway('an earlier home of the line did not answer in time'));
      const timer = setTimeout(giveUp, Math.max(0, deadlineMs - performance.now()));
      const asked: Asked = {
        key,
        deadlineMs,
        resolve: (found) => (clearTimeout(timer), resolve(found)),
        reject: (error) => (clearTimeout(timer), reject(error instanceof Error ? error : new Error(String(error)))),
      };
      const waiting = this.#waiting.get(shard);
      if (waiting !== undefined) return void waiting.push(asked);
      this.#waiting.set(shard, [asked]);
      setImmediate(() => this.#ask(shard));
    });
  }

  #ask(shard: ShardIndex): void {
    const waiting = this.#waiting.get(shard) ?? [];
    this.#waiting.delete(shard);
    for (let first = 0; first < waiting.length; first += KEYS_MAX)
      void this.#askSome(shard, waiting.slice(first, first + KEYS_MAX));
  }

  async #askSome(shard: ShardIndex, some: readonly Asked[]): Promise<void> {
    try {
      const found = await this.#rows.findStanding(
        shard,
        some.map(({ key }) => key),
        Math.max(...some.map(({ deadlineMs }) => deadlineMs)),
      );
      const standing = new Map(found.map((each) => [flowKeyText(each), each]));
      for (const { key, resolve } of some) resolve(standing.get(flowKeyText(key)) ?? null);
    } catch (error) {
      for (const { reject } of some) reject(error);
    }
  }
}
