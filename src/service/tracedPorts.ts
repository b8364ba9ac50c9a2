import type { DeadlineMs, ShardIndex, CommitDecision } from '../core/types.ts';
import type { JointOperation, Operation, ShardOperation } from '../core/operation.ts';
import type { OutcomeOf } from '../core/outcome.ts';
import type { CartRecords } from '../core/ports/cartRecords.ts';
import type { OrderRecords } from '../core/ports/orderRecords.ts';
import type { StockEngine } from '../core/ports/stockEngine.ts';
import type { StockReader } from '../core/ports/stockReader.ts';
import type { Trace } from '../core/ports/tracer.ts';
import type { ServicePorts } from './servicePorts.ts';

/**
 * The same dependencies for one traced request: each of its calls to a shard is reported to the trace, also after the
 * answer. Work that requests share (the rebalance of a split SKU, the completion of shared holds) belongs to no trace.
 */
export function tracedPorts(ports: ServicePorts, trace: Trace | null): ServicePorts {
  if (trace === null) return ports;
  return {
    ...ports,
    engine: new TracedEngine(ports.engine, trace),
    reader: tracedReader(ports.reader, trace),
    carts: tracedCarts(ports.carts, trace),
    records: tracedRecords(ports.records, trace),
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
    return traced(
      this.#trace.begin(operations[0]?.kind ?? 'nothing', shard),
      this.#engine.apply(shard, operations, deadlineMs),
      endingOf,
    );
  }

  groupOf(shard: ShardIndex): string | null {
    return this.#engine.groupOf(shard);
  }

  /** Each shard has a span of its own; all of them end together. */
  applyJointly<O extends JointOperation>(
    parts: readonly ShardOperation<O>[],
    deadlineMs: DeadlineMs,
  ): Promise<OutcomeOf<O>> {
    const spans = parts.map(({ shard, operation }) => this.#trace.begin(operation.kind, shard));
    const endAll = (ending: string): void => {
      for (const end of spans) end(ending);
    };
    return traced(endAll, this.#engine.applyJointly(parts, deadlineMs), nameOf);
  }
}

function tracedReader(reader: StockReader, trace: Trace): StockReader {
  return {
    findFlows: (shard, keys, deadlineMs) =>
      traced(trace.begin('find flows', shard), reader.findFlows(shard, keys, deadlineMs), nameOf),
    readStock: (shard, sku_id, deadlineMs) =>
      traced(trace.begin('read stock', shard), reader.readStock(shard, sku_id, deadlineMs), nameOf),
  };
}

function tracedCarts(carts: CartRecords, trace: Trace): CartRecords {
  return {
    begin: (shard, order, force, deadlineMs) =>
      traced(trace.begin('begin cart', shard), carts.begin(shard, order, force, deadlineMs), nameOf),
    decide: (shard, cart, decision: CommitDecision, deadlineMs) =>
      traced(trace.begin('decide cart', shard), carts.decide(shard, cart, decision, deadlineMs), nameOf),
    resolve: (shard, cart, deadlineMs) =>
      traced(trace.begin('judge cart', shard), carts.resolve(shard, cart, deadlineMs), nameOf),
    findUnfinished: (shard, max, deadlineMs) => carts.findUnfinished(shard, max, deadlineMs),
  };
}

function tracedRecords(records: OrderRecords, trace: Trace): OrderRecords {
  return {
    begin: (coordinator) => records.begin(coordinator),
    areUsable: (shards) => records.areUsable(shards),
    resolve: (transaction, order_id, deadlineMs) =>
      traced(
        trace.begin('judge transaction', transaction.coordinator),
        records.resolve(transaction, order_id, deadlineMs),
        nameOf,
      ),
    deleteAborted: (shard, max, deadlineMs) => records.deleteAborted(shard, max, deadlineMs),
  };
}

function traced<T>(ended: (ending: string) => void, work: Promise<T>, ending: (result: T) => string): Promise<T> {
  work.then(
    (result) => ended(ending(result)),
    () => ended('fault'),
  );
  return work;
}

/** The outcome that most needs attention: unknown before not done, before the first outcome. */
function endingOf(outcomes: readonly { readonly is: string }[]): string {
  const shown =
    outcomes.find(({ is }) => is === 'unknown') ?? outcomes.find(({ is }) => is === 'not_done') ?? outcomes[0];
  return shown?.is ?? 'nothing';
}

function nameOf({ is }: { readonly is: string }): string {
  return is;
}
