import type { Batchable } from '../../core/ledger/decide.ts';
import type { DeadlineMs, ShardIndex } from '../../core/nouns.ts';
import type { Operation } from '../../core/operation.ts';
import type { OutcomeOf } from '../../core/outcome.ts';
import type { StockEngine } from '../../core/ports.ts';
import type { Shard } from '../shard.ts';
import { TextbookEngine } from '../textbookEngine.ts';
import { ShardWriter } from './shardWriter.ts';

/**
 * Carries out what comes at the same time in one transaction per shard and one round trip. What is rare (opening a SKU,
 * pausing its sale) has a transaction of its own.
 */
export class BatchingEngine implements StockEngine {
  readonly #writers: readonly ShardWriter[];
  readonly #single: TextbookEngine;

  constructor(shards: readonly Shard[]) {
    this.#writers = shards.map((shard) => new ShardWriter(shard));
    this.#single = new TextbookEngine(shards);
  }

  async apply<O extends Operation>(shard: ShardIndex, operations: readonly O[], deadlineMs: DeadlineMs): Promise<readonly OutcomeOf<O>[]> {
    const writer = this.#writers[shard];
    if (writer === undefined) throw new RangeError(`there is no shard ${shard}`);
    const outcomes = operations.map(async (operation: Operation): Promise<OutcomeOf<Operation>> => {
      if (isBatchable(operation)) return writer.apply(operation, deadlineMs);
      const [outcome] = await this.#single.apply(shard, [operation], deadlineMs);
      if (outcome === undefined) throw new Error('an engine gives one outcome per operation');
      return outcome;
    });
    return (await Promise.all(outcomes)) as OutcomeOf<O>[];
  }
}

function isBatchable(operation: Operation): operation is Batchable {
  return operation.kind !== 'open' && operation.kind !== 'sale';
}
