import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { JointOperation, Operation, ShardOperation } from '../../core/operation.ts';
import type { OutcomeOf } from '../../core/outcome.ts';
import type { StockEngine } from '../../core/ports/stockEngine.ts';

/** An operation that was not done or has an unknown outcome, with the reason, which callers do not receive. */
export interface FailedOperation {
  readonly shard: ShardIndex;
  readonly operation: Operation['kind'];
  readonly ending: 'not_done' | 'unknown';
  readonly reason: string;
}

/** An engine that reports failed operations with their reasons, for the log and the metrics. */
export class WatchedEngine implements StockEngine {
  readonly #engine: StockEngine;
  readonly #onWithoutOutcome: (ended: FailedOperation) => void;

  constructor(engine: StockEngine, onWithoutOutcome: (ended: FailedOperation) => void) {
    this.#engine = engine;
    this.#onWithoutOutcome = onWithoutOutcome;
  }

  apply<O extends Operation>(
    shard: ShardIndex,
    operations: readonly O[],
    deadlineMs: DeadlineMs,
  ): Promise<readonly OutcomeOf<O>[]> {
    return this.#engine.apply(shard, operations, deadlineMs).then((outcomes) => {
      for (let index = 0; index < outcomes.length; index += 1) this.#report(shard, operations[index], outcomes[index]);
      return outcomes;
    });
  }

  groupOf(shard: ShardIndex): string | null {
    return this.#engine.groupOf(shard);
  }

  applyJointly<O extends JointOperation>(
    parts: readonly ShardOperation<O>[],
    deadlineMs: DeadlineMs,
  ): Promise<OutcomeOf<O>> {
    return this.#engine.applyJointly(parts, deadlineMs).then((outcome) => {
      const [first] = parts;
      if (first !== undefined) this.#report(first.shard, first.operation, outcome);
      return outcome;
    });
  }

  #report(shard: ShardIndex, operation: Operation | undefined, outcome: OutcomeOf<Operation> | undefined): void {
    if (operation === undefined || (outcome?.is !== 'not_done' && outcome?.is !== 'unknown')) return;
    this.#onWithoutOutcome({ shard, operation: operation.kind, ending: outcome.is, reason: outcome.reason });
  }
}
