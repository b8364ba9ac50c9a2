import type { DeadlineMs, ShardIndex } from '../core/nouns.ts';
import type { Operation } from '../core/operation.ts';
import type { OutcomeOf } from '../core/outcome.ts';
import type { StockEngine } from '../core/ports.ts';

/** Told of every operation that ended without a verdict, with the reason that callers do not get to see. */
export type OnDoubt = (doubt: {
  readonly shard: ShardIndex;
  readonly operation: Operation['kind'];
  readonly ending: 'not_done' | 'unknown';
  readonly reason: string;
}) => void;

/** An engine that tells the log and the metrics what the caller is only told in general. */
export class WatchedEngine implements StockEngine {
  readonly #engine: StockEngine;
  readonly #onDoubt: OnDoubt;

  constructor(engine: StockEngine, onDoubt: OnDoubt) {
    this.#engine = engine;
    this.#onDoubt = onDoubt;
  }

  async apply<O extends Operation>(
    shard: ShardIndex,
    operations: readonly O[],
    deadlineMs: DeadlineMs,
  ): Promise<readonly OutcomeOf<O>[]> {
    const outcomes = await this.#engine.apply(shard, operations, deadlineMs);
    outcomes.forEach((outcome, index) => {
      const operation = operations[index];
      if (operation !== undefined && (outcome.is === 'not_done' || outcome.is === 'unknown')) {
        this.#onDoubt({ shard, operation: operation.kind, ending: outcome.is, reason: outcome.reason });
      }
    });
    return outcomes;
  }
}
