import type { DeadlineMs, ShardIndex, Verdict } from '../core/nouns.ts';
import type { Operation } from '../core/operation.ts';
import type { OutcomeOf } from '../core/outcome.ts';
import type { CartRecords, StockEngine, StockReader } from '../core/ports.ts';
import type { Trace } from '../core/trace.ts';
import type { Parts } from './parts.ts';

/**
 * The same parts for one request that is followed: whatever it asks of a shard is told, also behind its answer. What requests do
 * together (fetching units of a split SKU, settling holds that many meet) belongs to none of them.
 */
export function tracedParts(parts: Parts, trace: Trace | null): Parts {
  if (trace === null) return parts;
  return {
    ...parts,
    engine: new TracedEngine(parts.engine, trace),
    reader: tracedReader(parts.reader, trace),
    carts: tracedCarts(parts.carts, trace),
  };
}

class TracedEngine implements StockEngine {
  readonly #engine: StockEngine;
  readonly #trace: Trace;

  constructor(engine: StockEngine, trace: Trace) {
    this.#engine = engine;
    this.#trace = trace;
  }

  apply<O extends Operation>(
    shard: ShardIndex,
    operations: readonly O[],
    deadlineMs: DeadlineMs,
  ): Promise<readonly OutcomeOf<O>[]> {
    return told(
      this.#trace.began(operations[0]?.kind ?? 'nothing', shard),
      this.#engine.apply(shard, operations, deadlineMs),
      endingOf,
    );
  }
}

function tracedReader(reader: StockReader, trace: Trace): StockReader {
  return {
    findFlows: (shard, keys, deadlineMs) =>
      told(trace.began('find flows', shard), reader.findFlows(shard, keys, deadlineMs), wordOf),
    readStock: (shard, sku_id, deadlineMs) =>
      told(trace.began('read stock', shard), reader.readStock(shard, sku_id, deadlineMs), wordOf),
  };
}

function tracedCarts(carts: CartRecords, trace: Trace): CartRecords {
  return {
    begin: (shard, order, force, deadlineMs) =>
      told(trace.began('begin cart', shard), carts.begin(shard, order, force, deadlineMs), wordOf),
    decide: (shard, cart, verdict: Verdict, deadlineMs) =>
      told(trace.began('decide cart', shard), carts.decide(shard, cart, verdict, deadlineMs), wordOf),
    judge: (shard, cart, deadlineMs) =>
      told(trace.began('judge cart', shard), carts.judge(shard, cart, deadlineMs), wordOf),
    findLeftOver: (shard, max, deadlineMs) => carts.findLeftOver(shard, max, deadlineMs),
  };
}

function told<T>(ended: (ending: string) => void, work: Promise<T>, ending: (result: T) => string): Promise<T> {
  work.then(
    (result) => ended(ending(result)),
    () => ended('fault'),
  );
  return work;
}

/** Of several the one that somebody may have to look at. */
function endingOf(outcomes: readonly { readonly is: string }[]): string {
  const one =
    outcomes.find(({ is }) => is === 'unknown') ?? outcomes.find(({ is }) => is === 'not_done') ?? outcomes[0];
  return one?.is ?? 'nothing';
}

function wordOf({ is }: { readonly is: string }): string {
  return is;
}
