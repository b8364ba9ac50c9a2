import { createHash } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { flowKeyText } from '../../src/core/types.ts';
import type { CartLine, OrderTransaction, ShardIndex } from '../../src/core/types.ts';
import type { JointOperation, Operation, ShardOperation } from '../../src/core/operation.ts';
import type { OutcomeOf } from '../../src/core/outcome.ts';
import { SlotMap } from '../../src/core/slots.ts';
import { coordinatorOf } from '../../src/service/carts/orderParts.ts';
import { applyJointly } from '../../src/service/orders/applyByGroup.ts';
import { byShard } from '../../src/service/routing/lineRouter.ts';
import { ENGINES } from '../support/engines/engines.ts';
import type { Subject } from '../support/engines/engines.ts';
import { plainHolds } from '../support/engines/engineBench.ts';
import { Oracle } from '../support/engines/oracle.ts';
import { renamed } from '../support/engines/sameAnswers.ts';
import { histories, ORDER_DETAILS, skuOn } from '../support/engines/traffic.ts';
import { fresh } from '../support/gateway/gateway.ts';
import { stack } from '../support/run/setup.ts';
import { transactionsOf } from '../support/carts/transactionRows.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
const RUNS = LONG ? 600 : 30;
const WAIT_MS = 10_000;
/** Three shards of one server. */
const SHARDS = [1, 4, 6];

describe('joint operations on the shards of one server', () => {
  const map = new SlotMap(16);
  let subject: Subject;
  before(async () => {
    const batching = ENGINES.find(({ name }) => name === 'batching');
    if (batching === undefined) throw new Error('there is no batching engine');
    subject = batching.create(stack());
    // An operation over several shards does not wait until a shard is first found to serve. These do.
    await Promise.all(SHARDS.map((shard) => open(shard, 1)));
  });
  after(() => subject.close());

  const deadline = (): number => performance.now() + WAIT_MS;
  const apply = <O extends JointOperation>(parts: readonly ShardOperation<O>[]): Promise<OutcomeOf<O>> =>
    applyJointly(subject.engine, parts, deadline());
  const open = async (shard: ShardIndex, leaved_amount: number): Promise<string> => {
    const sku_id = skuOn(shard, fresh('joint'));
    const [outcome] = await subject.engine.apply(shard, [{ kind: 'open', sku_id, leaved_amount }], deadline());
    expect(outcome?.is).to.equal('applied');
    return sku_id;
  };
  const left = async (...sku_ids: string[]): Promise<(number | undefined)[]> =>
    Promise.all(
      sku_ids.map(async (sku_id) => {
        const stock = await subject.reader.readStock(map.shardOf(sku_id), sku_id, deadline());
        return stock.is === 'found' ? stock.rows[0]?.leaved_amount : undefined;
      }),
    );

  it('answer random traffic like the oracle, and write one record for each order that takes units', async function () {
    if (LONG) this.timeout(1_800_000);
    let run = 0;
    const prefix = fresh('joint random');
    await fc.assert(
      fc.asyncProperty(
        histories(['0', '1', '2'], { stepsMin: 20, stepsMax: 60 }),
        fc.infiniteStream(fc.boolean()),
        async (numbered, coins) => {
          const name = `${prefix}-${(run += 1)}`;
          const sku_ids = SHARDS.map((shard) => skuOn(shard, name));
          const coin = (): boolean => coins.next().value ?? false;
          await play(
            numbered.map((operation) => renamed(operation, sku_ids)),
            name,
            sku_ids,
            coin,
          );
        },
      ),
      { numRuns: RUNS },
    );
  });

  /** @param coin whether the next operation names a transaction; otherwise it is one of the older protocol */
  async function play(
    history: readonly Operation[],
    name: string,
    sku_ids: string[],
    coin: () => boolean,
  ): Promise<void> {
    const oracle = new Oracle(map);
    const both = async (operation: Operation): Promise<[unknown, unknown]> => {
      if (!isJoint(operation)) {
        const shard = map.shardOf('sku_id' in operation ? operation.sku_id : '');
        const [expected] = await oracle.apply(shard, [operation], deadline());
        const [actual] = await subject.engine.apply(shard, [operation], deadline());
        return [comparable(expected), comparable(actual)];
      }
      const parts = partsOf(operation, `${name} ${operation.order_id}`, coin);
      const expected = await oracle.applyJointly(parts, deadline());
      const actual = await apply(parts);
      if (actual.is === 'deducted' && actual.lines.some(({ replayed }) => !replayed)) recorded.push(idOf(parts) ?? '');
      return [comparable(expected), comparable(actual)];
    };
    const recorded: string[] = [];
    for (const operation of history) {
      const [expected, actual] = await both(operation);
      expect(actual, JSON.stringify(operation)).to.deep.equal(expected);
    }
    for (const sku_id of sku_ids) {
      const shard = map.shardOf(sku_id);
      const keys = ORDER_DETAILS.map((order_detail_id) => ({ sku_id, order_detail_id }));
      const [stock, flows] = await Promise.all([
        subject.reader.readStock(shard, sku_id, deadline()),
        subject.reader.findFlows(shard, keys, deadline()),
      ]);
      expect(stock, `stock of ${sku_id}`).to.deep.equal(await oracle.readStock(shard, sku_id, deadline()));
      expect(flowTexts(flows), `flows of ${sku_id}`).to.deep.equal(
        flowTexts(await oracle.findFlows(shard, keys, deadline())),
      );
    }
    const orders = [...new Set(history.flatMap((each) => ('order_id' in each ? [each.order_id] : [])))];
    const found = await Promise.all(orders.map((order_id) => transactionsOf(`${name} ${order_id}`)));
    expect(
      found
        .flat()
        .map(({ transaction_id }) => transaction_id)
        .sort(),
      'records',
    ).to.deep.equal([...recorded].sort());
  }

  it('refuse all parts and name the refused lines of all of them, under the code that has precedence', async () => {
    const [first, second, third] = [await open(1, 5), await open(4, 1), skuOn(6, fresh('unknown'))];
    const line = (sku_id: string, quantity: number) => ({ sku_id, order_detail_id: 'd', quantity });
    const order_id = fresh('order');
    const outcome = await apply(
      partsOf(order([line(first, 2), line(second, 2), line(third, 1)], order_id), order_id, () => true),
    );
    expect(outcome).to.deep.equal({
      is: 'refused',
      code: 'unknown_sku',
      lines: [
        { ...line(second, 2), code: 'insufficient_stock', leaved_amount: 1 },
        { ...line(third, 1), code: 'unknown_sku' },
      ],
    });
    expect(await left(first, second)).to.deep.equal([5, 1]);
    expect(await transactionsOf(order_id)).to.deep.equal([]);
  });

  it('write no part of an order when one of them is short, however many are sent at once', async () => {
    const [first, second] = [await open(1, 1_000), await open(6, 7)];
    const outcomes = await Promise.all(
      Array.from({ length: 60 }, (_, number) => {
        const order_detail_id = `d${number}`;
        const lines = [first, second].map((sku_id) => ({ sku_id, order_detail_id, quantity: 1 }));
        return apply(partsOf(order(lines, `${first} ${number}`), `${first} ${number}`, () => true));
      }),
    );
    expect(outcomes.filter(({ is }) => is === 'deducted')).to.have.lengthOf(7);
    expect(outcomes.filter(({ is }) => is === 'refused')).to.have.lengthOf(53);
    expect(await left(first, second)).to.deep.equal([993, 0]);
  });

  it('take only the lines that are new when some parts are replays, and write no record for replays only', async () => {
    const [first, second] = [await open(1, 9), await open(4, 9)];
    const order_id = fresh('order');
    const lines = [first, second].map((sku_id) => ({ sku_id, order_detail_id: 'd', quantity: 2 }));
    await apply(partsOf(order(lines.slice(0, 1), order_id), order_id, () => true));
    const replays = async (): Promise<boolean[]> => {
      const outcome = await apply(partsOf(order(lines, order_id), order_id, () => true));
      return outcome.is === 'deducted' ? outcome.lines.map(({ replayed }) => replayed) : [];
    };
    expect(await replays()).to.deep.equal([true, false]);
    expect(await transactionsOf(order_id)).to.have.lengthOf(2);
    expect(await replays()).to.deep.equal([true, true]);
    expect(await transactionsOf(order_id)).to.have.lengthOf(2);
    expect(await left(first, second)).to.deep.equal([7, 7]);
  });
});

function order(lines: readonly CartLine[], order_id: string): JointOperation {
  return { kind: 'deduct', order_id, lines };
}

function isJoint(operation: Operation): operation is JointOperation {
  return ['deduct', 'hold', 'settle', 'cancel'].includes(operation.kind);
}

/**
 * The parts of an operation by shard. Deductions name a new transaction and write its record. Holds and completions
 * name a transaction that is the same for the same order and attempt.
 *
 * @param unique the order, with a prefix that no other run has
 */
function partsOf(operation: JointOperation, unique: string, coin: () => boolean): ShardOperation<JointOperation>[] {
  const map = new SlotMap(16);
  const lines = operation.lines.map((line) => ({ ...line, quantity: 1, ...line, shard: map.shardOf(line.sku_id) }));
  const coordinator = coordinatorOf(lines);
  const named = (salt: string): OrderTransaction => ({
    transaction_id: createHash('md5').update(`${unique}\0${salt}`).digest('hex'),
    coordinator,
  });
  const isNamed = coin();
  const isHeld = coin();
  const parts: ShardOperation<JointOperation>[] = [];
  const fresh = named(`${process.hrtime.bigint()}`);
  for (const [shard, ofShard] of byShard(lines)) {
    const own = operation.lines.filter((line) => ofShard.some((each) => flowKeyText(each) === flowKeyText(line)));
    const part = { ...operation, order_id: unique, lines: own } as JointOperation;
    if (part.kind === 'cancel') parts.push({ shard, operation: part });
    else if (part.kind === 'deduct')
      parts.push({
        shard,
        operation: { ...part, transaction: fresh, ...(shard === coordinator ? { record: lines } : {}) },
      });
    else if (!isNamed) parts.push({ shard, operation: part });
    else {
      const transaction = { ...named(`attempt ${part.attempt}`), coordinator: 0 };
      const held = part.kind === 'settle' && isHeld ? { isHeld: true as const } : {};
      parts.push({ shard, operation: { ...part, attempt: 0, transaction, ...held } });
    }
  }
  return parts;
}

function idOf([first]: readonly ShardOperation<JointOperation>[]): string | undefined {
  return first !== undefined && 'transaction' in first.operation
    ? first.operation.transaction?.transaction_id
    : undefined;
}

/** The part of an outcome that must be equal. The reason of `not_done` is for the log, and holds have no order. */
function comparable(outcome: OutcomeOf<Operation> | undefined): unknown {
  if (outcome?.is === 'pending') return { ...outcome, holds: plainHolds(outcome) };
  return outcome?.is === 'not_done' ? { is: outcome.is } : outcome;
}

/** Flows without their times, because each engine has a clock of its own. */
function flowTexts(found: Awaited<ReturnType<Subject['reader']['findFlows']>>): unknown[] {
  if (found.is !== 'found') throw new Error(found.is);
  return found.flows.map((flow) => (flow === null ? null : { ...flow, created_at: '' }));
}
