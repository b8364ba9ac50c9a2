import type { DeadlineMs, ShardIndex } from '../core/nouns.ts';
import type { Operation } from '../core/operation.ts';
import type { OutcomeOf } from '../core/outcome.ts';
import type { StockEngine } from '../core/ports.ts';

/** An operation that ended without a verdict, with the reason that callers do not get to see. */
export interface NoVerdict {
  readonly shard: ShardIndex;
  readonly operation: Operation['kind'];
  readonly ending: 'not_done' | 'unknown';
  readonly reason: string;
}

/** An engine that tells the log and the metrics what the caller is only told in general. */
export class WatchedEngine implements StockEngine {
  readonly #engine: StockEngine;
  readonly #onNoVerdict: (ended: NoVerdict) => void;

  constructor(engine: StockEngine, onNoVerdict: (ended: NoVerdict) => void) {
    this.#engine = engine;
    this.#onNoVerdict = onNoVerdict;
  }

  apply<O extends Operation>(
    shard: ShardIndex,
    operations: readonly O[],
    deadlineMs: DeadlineMs,
  ): Promise<readonly OutcomeOf<O>[]> {
    return this.#engine.apply(shard, operations, deadlineMs).then((outcomes) => {
      for (let place = 0; place < outcomes.length; place += 1) this.#look(shard, operations[place], outcomes[place]);
      return outcomes;
    });
  }

  #look(shard: ShardIndex, operation: Operation | undefined, outcome: OutcomeOf<Operation> | undefined): void {
    if (operation === undefined || (outcome?.is !== 'not_done' && outcome?.is !== 'unknown')) return;
    this.#onNoVerdict({ shard, operation: operation.kind, ending: outcome.is, reason: outcome.reason });
  }
}
