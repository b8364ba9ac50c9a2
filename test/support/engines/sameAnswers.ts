import { expect } from 'chai';
import type { DeadlineMs, Flow, ShardIndex } from '../../../src/core/types.ts';
import type { Operation } from '../../../src/core/operation.ts';
import type { OutcomeOf } from '../../../src/core/outcome.ts';
import type { StockEngine } from '../../../src/core/ports/stockEngine.ts';
import type { StockReader } from '../../../src/core/ports/stockReader.ts';
import { plainHolds } from './engineBench.ts';
import type { Subject } from './engines.ts';
import { ORDER_DETAILS } from './traffic.ts';

/** The shard and the SKUs that a history is applied to. */
interface Target {
  readonly shard: ShardIndex;
  readonly sku_ids: readonly string[];
  /** Computed for every call. */
  deadline(): DeadlineMs;
}

/** Applies a history to an engine and to the oracle, and compares each answer and the final stock and flows. */
export async function expectSameAnswers(
  subject: Subject,
  oracle: StockEngine & StockReader,
  history: readonly Operation[],
  target: Target,
): Promise<void> {
  const { shard, sku_ids, deadline } = target;
  const supplied = new Map<string, bigint>();
  for (const operation of history) {
    const [expected] = await oracle.apply(shard, [operation], deadline());
    const [actual] = await subject.engine.apply(shard, [operation], deadline());
    expect(comparable(actual), `${JSON.stringify(operation)} → ${JSON.stringify(actual)}`).to.deep.equal(
      comparable(expected),
    );
    if (actual?.is === 'applied' && !actual.replayed) addSupplied(supplied, operation);
  }
  for (const sku_id of sku_ids) {
    const stock = await subject.reader.readStock(shard, sku_id, deadline());
    expect(stock, `stock of ${sku_id}`).to.deep.equal(await oracle.readStock(shard, sku_id, deadline()));
    const flows = await flowsOf(subject.reader, sku_id, target);
    expect(flows, `flows of ${sku_id}`).to.deep.equal(await flowsOf(oracle, sku_id, target));
    if (stock.is !== 'found') throw new Error(stock.is);
    const taken = flows.filter(isTaken).reduce((sum, { quantity, returned }) => sum + BigInt(quantity - returned), 0n);
    expect((supplied.get(sku_id) ?? 0n) - taken, `the books of ${sku_id}`).to.equal(
      BigInt(stock.rows[0]?.leaved_amount ?? 0),
    );
  }
}

/** The same operation on real SKUs instead of numbers. */
export function renamed(operation: Operation, sku_ids: readonly string[]): Operation {
  const name = <T extends { readonly sku_id: string }>(thing: T): T => ({
    ...thing,
    sku_id: sku_ids[Number(thing.sku_id)] ?? '',
  });
  switch (operation.kind) {
    case 'deduct':
    case 'hold':
    case 'settle':
      return { ...operation, lines: operation.lines.map(name) };
    case 'cancel':
      return { ...operation, lines: operation.lines.map(name) };
    case 'return':
    case 'adjust':
    case 'send':
    case 'receive':
    case 'open':
    case 'sale':
      return name(operation);
  }
}

/** The part of an outcome that must be equal. The reason of `not_done` is for the log, and holds have no order. */
function comparable(outcome: OutcomeOf<Operation> | undefined): unknown {
  if (outcome?.is === 'pending') return { ...outcome, holds: plainHolds(outcome) };
  return outcome?.is === 'not_done' ? { is: outcome.is } : outcome;
}

/**
 * Adds the units of an opening or an adjustment, which the journal of deductions does not contain. Sums may exceed the
 * range of a number.
 */
function addSupplied(supplied: Map<string, bigint>, operation: Operation): void {
  if (operation.kind !== 'open' && operation.kind !== 'adjust') return;
  const units = operation.kind === 'open' ? operation.leaved_amount : operation.delta;
  supplied.set(operation.sku_id, (supplied.get(operation.sku_id) ?? 0n) + BigInt(units));
}

function isTaken(flow: Flow): boolean {
  return flow.status !== 'void';
}

async function flowsOf(reader: StockReader, sku_id: string, { shard, deadline }: Target): Promise<Flow[]> {
  const found = await reader.findFlows(
    shard,
    ORDER_DETAILS.map((order_detail_id) => ({ sku_id, order_detail_id })),
    deadline(),
  );
  if (found.is !== 'found') throw new Error(found.is);
  // Each engine has a clock of its own.
  return found.flows.flatMap((flow) => (flow === null ? [] : [{ ...flow, created_at: '' }]));
}
