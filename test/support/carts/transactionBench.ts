import type { Line, OrderTransaction } from '../../../src/core/types.ts';
import type { Operation, ShardOperation } from '../../../src/core/operation.ts';
import type { OrderRecords } from '../../../src/core/ports/orderRecords.ts';
import type { StockEngine } from '../../../src/core/ports/stockEngine.ts';
import type { Shard } from '../../../src/mysql/shard.ts';
import { deductOrder } from '../../../src/service/orders/deductOrder.ts';
import type { OrderOutcome } from '../../../src/service/orders/deductOrder.ts';
import type { ServicePorts } from '../../../src/service/servicePorts.ts';
import { openShards } from '../engines/engines.ts';
import { stack } from '../run/setup.ts';
import { openCartBench } from './cartBench.ts';
import type { CartBench } from './cartBench.ts';

/** The shards of the second server; the first has the shards before. */
export const SECOND_SERVER = 8;
/** Other gateways abort a transaction of this age that has no record. */
export const ABANDONED_MS = 5_000;

/** The parts of a gateway without listeners that sells orders over several servers as transactions. */
export interface TransactionBench extends CartBench {
  readonly shards: readonly Shard[];
  /** Sells an order. @param around wraps the ports of this call */
  sell(
    order_id: string,
    lines: readonly Line[],
    options?: { readonly ms?: number; readonly around?: (parts: ServicePorts) => ServicePorts },
  ): Promise<OrderOutcome>;
}

/** @param shards absent: the shared shards; they are closed with the bench */
export async function openTransactionBench(shards: readonly Shard[] = openShards(stack())): Promise<TransactionBench> {
  const bench = openCartBench(shards, 'batching');
  await Promise.all(shards.map(({ tried }) => tried));
  if (!bench.parts.records.areUsable([...shards.keys()]))
    throw new Error('the shards of the bench do not allow transactions');
  return {
    ...bench,
    shards,
    async sell(order_id, lines, { ms = 3_000, around = (parts: ServicePorts) => parts } = {}) {
      const { outcome } = await deductOrder(around(bench.parts), { order_id, lines }, performance.now() + ms);
      return outcome;
    },
  };
}

/** One call of an engine: its kind, and the parts of the operation. */
export interface Step {
  readonly kind: Operation['kind'];
  readonly parts: readonly ShardOperation[];
  readonly deadlineMs: number;
}

/** Run around the calls of an engine, and waited for. */
export interface StepHooks {
  readonly before?: (step: Step) => unknown;
  /** Runs when the work is done and before its result is returned. */
  readonly after?: (step: Step) => unknown;
}

/** Runs hooks around every call of the engine of some ports. */
export function withSteps(hooks: StepHooks): (parts: ServicePorts) => ServicePorts {
  return (parts) => ({ ...parts, engine: hookedEngine(parts.engine, hooks) });
}

function hookedEngine(engine: StockEngine, { before, after }: StepHooks): StockEngine {
  const around = async <T>(
    parts: readonly ShardOperation[],
    deadlineMs: number,
    work: () => Promise<T>,
  ): Promise<T> => {
    const [first] = parts;
    if (first === undefined) return work();
    const step: Step = { kind: first.operation.kind, parts, deadlineMs };
    await before?.(step);
    const result = await work();
    await after?.(step);
    return result;
  };
  return {
    groupOf: (shard) => engine.groupOf(shard),
    apply: (shard, operations, deadlineMs) =>
      around(
        operations.map((operation) => ({ shard, operation })),
        deadlineMs,
        () => engine.apply(shard, operations, deadlineMs),
      ),
    applyJointly: (parts, deadlineMs) => around(parts, deadlineMs, () => engine.applyJointly(parts, deadlineMs)),
  };
}

/** A step that never returns, like a gateway that has died. */
export const DEAD: Promise<never> = new Promise(() => undefined);

/** The coordinator dies after its decision: nothing completes or undoes its holds. */
export const diesBeforeCompletion: StepHooks = { before: ({ kind }) => (kind === 'settle' ? DEAD : undefined) };

/** The coordinator dies when all its holds are placed, and before it decides. */
export const diesBeforeDecision: StepHooks = {
  before: (step) => (step.kind === 'settle' || isDecision(step) ? DEAD : undefined),
};

/** Whether a step is the decision of a transaction. */
export function isDecision({ parts }: Step): boolean {
  return parts.some(({ operation }) => operation.kind === 'deduct' && operation.record !== undefined);
}

/** The transaction that a step belongs to, if any. */
export function transactionOf({ parts }: Step): OrderTransaction | undefined {
  const [first] = parts;
  return first !== undefined && 'transaction' in first.operation ? first.operation.transaction : undefined;
}

/** Transactions that look this much older than they are, so that other gateways abort them at once. */
export function withOlderTransactions(ms: number): (parts: ServicePorts) => ServicePorts {
  return (parts) => {
    const { records } = parts;
    const older: OrderRecords = {
      begin: (coordinator) => movedBack(records.begin(coordinator), ms),
      areUsable: (shards) => records.areUsable(shards),
      resolve: (...given) => records.resolve(...given),
      deleteAborted: (...given) => records.deleteAborted(...given),
    };
    return { ...parts, records: older };
  };
}

/** The same transaction, begun `ms` earlier. */
export function movedBack({ transaction_id, coordinator }: OrderTransaction, ms: number): OrderTransaction {
  const began = Number.parseInt(transaction_id.slice(0, 12), 16) - ms;
  return { transaction_id: began.toString(16).padStart(12, '0') + transaction_id.slice(12), coordinator };
}
