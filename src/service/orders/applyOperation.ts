import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { Operation } from '../../core/operation.ts';
import type { Misrouted, OutcomeOf } from '../../core/outcome.ts';
import type { StockEngine } from '../../core/ports/stockEngine.ts';

/** Carries out one operation with the engine. */
export function applyOperation<O extends Operation>(
  engine: StockEngine,
  shard: ShardIndex,
  operation: O,
  deadlineMs: DeadlineMs,
): Promise<OutcomeOf<O>> {
  return engine.apply(shard, [operation], deadlineMs).then(onlyOne);
}

function onlyOne<T>([outcome]: readonly T[]): T {
  if (outcome === undefined) throw new Error('an engine gives one outcome per operation');
  return outcome;
}

/** An outcome without the redirects, which routing has followed already. */
export type Routed<T> = Exclude<T, Misrouted>;
