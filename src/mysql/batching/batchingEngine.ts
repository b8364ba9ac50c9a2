import type { BatchOperation } from '../../core/ledger/decide.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { Operation } from '../../core/operation.ts';
import type { OutcomeOf } from '../../core/outcome.ts';
import type { StockEngine } from '../../core/ports/stockEngine.ts';
import type { Shard } from '../shard.ts';
import { TextbookEngine } from '../textbook/textbookEngine.ts';
import { ServerWriter } from './serverWriter.ts';

/**
 * Sends operations that arrive at the same time in one transaction per server and one round trip. Rare operations (to
 * open a SKU, to pause its sale) have transactions of their own.
 */
export class BatchingEngine implements StockEngine {
  readonly #shards: readonly { readonly shard: Shard; readonly writer: ServerWriter }[];
  readonly #single: TextbookEngine;

  /** @param linesMax the most lines in one batch */
  constructor(shards: readonly Shard[], linesMax?: number) {
    const writers = new Map<string, ServerWriter>();
    this.#shards = shards.map((shard) => {
      const writer = writers.get(shard.server) ?? new ServerWriter(linesMax);
      writers.set(shard.server, writer);
      return { shard, writer };
    });
    this.#single = new TextbookEngine(shards);
  }

  apply<O extends Operation>(
    shard: ShardIndex,
    operations: readonly O[],
    deadlineMs: DeadlineMs,
  ): Promise<readonly OutcomeOf<O>[]> {
    const [first] = operations;
    // Nearly always there is one operation, and then one promise fewer matters.
    const outcomes =
      operations.length === 1 && first !== undefined
        ? this.#applyOne(shard, first, deadlineMs).then(listOf)
        : Promise.all(operations.map((operation) => this.#applyOne(shard, operation, deadlineMs)));
    return outcomes as Promise<OutcomeOf<O>[]>;
  }

  #applyOne(shard: ShardIndex, operation: Operation, deadlineMs: DeadlineMs): Promise<OutcomeOf<Operation>> {
    if (!isBatchable(operation)) return this.#single.apply(shard, [operation], deadlineMs).then(firstOf);
    const known = this.#shards[shard];
    return known === undefined
      ? Promise.reject(new RangeError(`there is no shard ${shard}`))
      : known.writer.apply(known.shard, operation, deadlineMs);
  }
}

function listOf<T>(one: T): T[] {
  return [one];
}

function firstOf<T>([first]: readonly T[]): T {
  if (first === undefined) throw new Error('an engine gives one outcome per operation');
  return first;
}

function isBatchable(operation: Operation): operation is BatchOperation {
  return operation.kind !== 'open' && operation.kind !== 'sale';
}
