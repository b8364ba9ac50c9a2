import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { NotDone, WrongShard, OutcomeInDoubt } from '../../core/outcome.ts';
import type { OpenedMany, OpeningStock, StockOpener } from '../../core/ports/stockOpener.ts';
import { openMany } from '../textbook/openMany.ts';
import { commitChange } from '../connection/commitChange.ts';
import type { Shard } from '../shard.ts';

/** Opens SKUs on the shards, many in one transaction. */
export class BulkOpener implements StockOpener {
  readonly #shards: readonly Shard[];

  constructor(shards: readonly Shard[]) {
    this.#shards = shards;
  }

  openMany(
    shard: ShardIndex,
    stocks: readonly OpeningStock[],
    deadlineMs: DeadlineMs,
  ): Promise<OpenedMany | NotDone | WrongShard | OutcomeInDoubt> {
    const target = this.#shards[shard];
    if (target === undefined) throw new RangeError(`there is no shard ${shard}`);
    return commitChange(target, deadlineMs, openMany(stocks));
  }
}
