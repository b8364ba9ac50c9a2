import type { DeadlineMs, ShardIndex } from '../core/nouns.ts';
import type { Adjust, Deduct, Open, Operation } from '../core/operation.ts';
import type { OutcomeOf } from '../core/outcome.ts';
import type { StockEngine } from '../core/ports.ts';
import { adjust } from './operations/adjust.ts';
import { deduct } from './operations/deduct.ts';
import { open } from './operations/open.ts';
import { settle } from './settle.ts';
import type { Change } from './settle.ts';
import type { Shard } from './shard.ts';

/**
 * The article's scheme, done with care: one local transaction per request, in plain round trips - the slot, the flow,
 * the stock, COMMIT. The seed of every other engine and the baseline of every benchmark.
 */
export class TextbookEngine implements StockEngine {
  readonly #shards: readonly Shard[];

  constructor(shards: readonly Shard[]) {
    this.#shards = shards;
  }

  apply<O extends Operation>(
    shard: ShardIndex,
    operations: readonly O[],
    deadlineMs: DeadlineMs,
  ): Promise<readonly OutcomeOf<O>[]> {
    const pool = this.#shards[shard]?.pool;
    if (pool === undefined) throw new RangeError(`there is no shard ${shard}`);
    return Promise.all(
      operations.map((operation) => settle(pool, deadlineMs, changeOf(operation)) as Promise<OutcomeOf<O>>),
    );
  }
}

function changeOf(operation: Deduct | Adjust | Open): Change<OutcomeOf<Operation>> {
  switch (operation.kind) {
    case 'deduct':
      return deduct(operation);
    case 'adjust':
      return adjust(operation);
    case 'open':
      return open(operation);
  }
}
