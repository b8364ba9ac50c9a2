import { expect } from 'chai';
import type { DeadlineMs, Flow, ShardIndex } from '../../src/core/nouns.ts';
import type { Operation } from '../../src/core/operation.ts';
import type { OutcomeOf } from '../../src/core/outcome.ts';
import type { StockEngine, StockReader } from '../../src/core/ports.ts';
import { plainHolds } from './engineBench.ts';
import type { Subject } from './engines.ts';
import { ORDER_DETAILS } from './traffic.ts';

/** Where a history is played. */
interface Place {
  readonly shard: ShardIndex;
  readonly sku_ids: readonly string[];
  /** Drawn anew for every call. */
  deadline(): DeadlineMs;
}

/** Plays a history on an engine and on the oracle, answer by answer, and holds what they keep against each other. */
export async function expectSameAnswers(
  subject: Subject,
  oracle: StockEngine & StockReader,
  history: readonly Operation[],
  place: Place,
): Promise<void> {
  const { shard, sku_ids, deadline } = place;
  const supplied = new Map<string, bigint>();
  for (const operation of history) {
    const [expected] = await oracle.apply(shard, [operation], deadline());
    const [actual] = await subject.engine.apply(shard, [operation], deadline());
    expect(comparable(actual), `${JSON.stringify(operation)} → ${JSON.stringify(actual)}`).to.deep.equal(
      comparable(expected),
    );
    if (actual?.is === 'applied' && !actual.replayed) note(supplied, operation);
  }
  for (const sku_id of sku_ids) {
    const stock = await subject.reader.readStock(shard, sku_id, deadline());
    expect(stock, `stock of ${sku_id}`).to.deep.equal(await oracle.readStock(shard, sku_id, deadline()));
    const flows = await flowsOf(subject.reader, sku_id, place);
    expect(flows, `flows of ${sku_id}`).to.deep.equal(await flowsOf(oracle, sku_id, place));
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

/** Why nothing was done is for the log; of holds only counts what they are, not how they come. */
function comparable(outcome: OutcomeOf<Operation> | undefined): unknown {
  if (outcome?.is === 'pending') return { ...outcome, holds: plainHolds(outcome) };
  return outcome?.is === 'not_done' ? { is: outcome.is } : outcome;
}

/** Units that came onto the shelf from outside, which the journal of deductions does not tell. Sums may leave a number's range. */
function note(supplied: Map<string, bigint>, operation: Operation): void {
  if (operation.kind !== 'open' && operation.kind !== 'adjust') return;
  const units = operation.kind === 'open' ? operation.leaved_amount : operation.delta;
  supplied.set(operation.sku_id, (supplied.get(operation.sku_id) ?? 0n) + BigInt(units));
}

function isTaken(flow: Flow): boolean {
  return flow.status !== 'void';
}

async function flowsOf(reader: StockReader, sku_id: string, { shard, deadline }: Place): Promise<Flow[]> {
  const found = await reader.findFlows(
    shard,
    ORDER_DETAILS.map((order_detail_id) => ({ sku_id, order_detail_id })),
    deadline(),
  );
  if (found.is !== 'found') throw new Error(found.is);
  // Each has a clock of its own.
  return found.flows.flatMap((flow) => (flow === null ? [] : [{ ...flow, created_at: '' }]));
}
