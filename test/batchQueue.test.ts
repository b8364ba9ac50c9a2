import { expect } from 'chai';
import type { Batchable } from '../src/core/ledger/decide.ts';
import type { LedgerFlow, Reading } from '../src/core/ledger/ledger.ts';
import { flowKeyText } from '../src/core/nouns.ts';
import type { Deduct } from '../src/core/operation.ts';
import { shelvesOf } from '../src/core/operation.ts';
import { recallOne } from '../src/mysql/batching/batch.ts';
import { Hints } from '../src/mysql/batching/hints.ts';
import { BatchQueue } from '../src/mysql/batching/queue.ts';
import type { Company, Errand } from '../src/mysql/batching/queue.ts';
import type { Shard } from '../src/mysql/shard.ts';
import { ServerWriter } from '../src/mysql/batching/serverWriter.ts';
import { WORK_MS } from '../src/mysql/transaction.ts';
import { WaitingRoom } from '../src/mysql/waitingRoom.ts';
import { eventually } from './support/eventually.ts';

/** How many batches may be on their way. */
const BATCHES_MAX = 6;

const NOBODY = (): boolean => false;
const ALL = (): boolean => true;
const UNTROUBLED = (company: Company): boolean => typeof company === 'string';
/** Nothing is sent to it: what the queue asks of a shard is whether it is served, and for places to wait. */
const shardOf = (isServing: boolean, waiting_max = 1_000): Shard =>
  ({ isServing, batchRoom: new WaitingRoom(waiting_max) }) as unknown as Shard;
const SHARD = shardOf(true);
let number = 0;

function order(...sku_ids: string[]): Deduct {
  number += 1;
  return {
    kind: 'deduct',
    order_id: 'o',
    lines: sku_ids.map((sku_id, index) => ({ sku_id, order_detail_id: `${number}-${index}`, quantity: 1 })),
  };
}

function errand(operation: Deduct, deadlineMs = 1_000, shard = SHARD): Errand {
  return {
    shard,
    operation,
    shelves: shelvesOf(operation),
    deadlineMs,
    resolve: () => undefined,
    reject: () => undefined,
  };
}

function queueOf(...errands: Errand[]): BatchQueue {
  const queue = new BatchQueue(() => true);
  for (const one of errands) queue.add(one);
  return queue;
}

describe('queue of a batch', () => {
  it('gives out all that waits, in the order of its coming', () => {
    const all = [errand(order('a')), errand(order('b')), errand(order('a', 'b'))];
    const queue = queueOf(...all);
    expect(queue.takeBatch(NOBODY, ALL).errands).to.deep.equal(all);
    expect(SHARD.batchRoom.count).to.equal(0);
  });

  it('gives back first what was put back', () => {
    const [first, second, third] = [errand(order('a')), errand(order('b')), errand(order('c'))];
    const queue = queueOf(third);
    queue.putBack([first, second]);
    expect(queue.takeBatch(NOBODY, ALL).errands).to.deep.equal([first, second, third]);
  });

  it('leaves those waiting whose SKU is on its way', () => {
    const [busy, both, free] = [errand(order('a')), errand(order('a', 'b')), errand(order('b'))];
    const queue = queueOf(busy, both, free);
    expect(queue.takeBatch((sku_id) => sku_id === 'a', ALL).errands).to.deep.equal([free]);
    expect(queue.takeBatch(NOBODY, ALL).errands).to.deep.equal([busy, both]);
  });

  it('bounds the lines that go together, but for one order that has more', () => {
    const large = errand(order(...Array.from({ length: 600 }, (_, index) => `${index}`)));
    const small = Array.from({ length: 600 }, () => errand(order('a')));
    const queue = queueOf(large, ...small);
    expect(queue.takeBatch(NOBODY, ALL).errands).to.deep.equal([large]);
    expect(queue.takeBatch(NOBODY, ALL).errands).to.have.length(512);
    expect(queue.takeBatch(NOBODY, ALL).errands).to.have.length(88);
    const narrow = new BatchQueue(() => true, 8);
    for (const one of [...small.slice(0, 9), errand(order('a', 'b'))]) narrow.add(one);
    expect([8, 2].map(() => narrow.takeBatch(NOBODY, ALL).errands.length)).to.deep.equal([8, 2]);
  });

  it('sends what names a locked SKU alone, and only when it may go', () => {
    const [locked, again, free, other] = [
      errand(order('a')),
      errand(order('a')),
      errand(order('b')),
      errand(order('c')),
    ];
    const queue = queueOf(locked, free, again, other);
    queue.lock(['a', 'c'], true);
    expect(queue.takeBatch(NOBODY, UNTROUBLED).errands).to.deep.equal([free]);
    expect(queue.takeBatch(NOBODY, UNTROUBLED).errands).to.deep.equal([]);
    expect(queue.takeBatch(NOBODY, ALL).errands).to.deep.equal([locked, again]);
    queue.unlock(['a', 'c'], false);
    queue.putBack([locked, again]);
    expect(queue.takeBatch(NOBODY, UNTROUBLED).errands, 'whoever only reads does not meet the lock').to.deep.equal([]);
    expect(queue.takeBatch(NOBODY, ALL).errands).to.deep.equal([locked, again]);
    queue.unlock(['a', 'c'], true);
    expect(queue.takeBatch(NOBODY, UNTROUBLED).errands).to.deep.equal([other]);
  });

  it('sends what may be locked alone until it was answered', () => {
    const [first, second, free] = [errand(order('a')), errand(order('a')), errand(order('b'))];
    const queue = queueOf(first, free);
    queue.lock(['a'], false);
    expect(queue.takeBatch(NOBODY, ALL).errands).to.deep.equal([first]);
    queue.unlock(['a'], false);
    queue.add(second);
    expect(queue.takeBatch(NOBODY, ALL).errands).to.deep.equal([free, second]);
  });

  it('gives out those who name a SKU and have too little time', () => {
    const [soon, late, other] = [errand(order('a', 'b'), 100), errand(order('a'), 200), errand(order('c'), 100)];
    const queue = queueOf(soon, late, other);
    expect(queue.takeNaming(new Set(['a']), 150)).to.deep.equal([soon]);
    expect(queue.takeBatch(NOBODY, ALL).errands).to.deep.equal([late, other]);
  });

  it('keeps what must be looked at apart from what need not, so that it holds nobody up', () => {
    const [first, looked, last] = [errand(order('a')), errand(order('b')), errand(order('c'))];
    const queue = new BatchQueue((operation) => operation !== looked.operation);
    for (const each of [first, looked, last]) queue.add(each);
    expect(queue.takeBatch(NOBODY, ALL)).to.deep.equal({ errands: [first, last], company: 'guessed' });
    expect(queue.takeBatch(NOBODY, (company) => company === 'guessed').errands).to.deep.equal([]);
    expect(queue.takeBatch(NOBODY, ALL)).to.deep.equal({ errands: [looked], company: 'looked up' });
  });

  it('keeps what is for a shard that is not served apart from the rest', () => {
    const away = shardOf(false);
    const [lost, found, too] = [errand(order('a'), 1_000, away), errand(order('b')), errand(order('c'), 1_000, away)];
    const queue = queueOf(lost, found, too);
    expect(queue.takeBatch(NOBODY, UNTROUBLED).errands).to.deep.equal([found]);
    expect(queue.takeBatch(NOBODY, ALL).errands).to.deep.equal([lost, too]);
  });

  it('lets a bounded number wait for one shard', () => {
    const narrow = shardOf(true, 1);
    const [first, second, other] = [
      errand(order('a'), 1_000, narrow),
      errand(order('b'), 1_000, narrow),
      errand(order('c')),
    ];
    const queue = new BatchQueue(() => true);
    expect([first, second, other].map((each) => queue.add(each))).to.deep.equal([true, false, true]);
    expect(queue.takeBatch(NOBODY, ALL).errands).to.deep.equal([first, other]);
    expect(queue.add(second)).to.equal(true);
  });

  it('takes out those whose time is up', () => {
    const [late, soon] = [errand(order('a'), 100), errand(order('b'), 200)];
    const queue = queueOf(late, soon);
    expect(queue.takeExpired(150)).to.deep.equal([late]);
    expect(queue.takeExpired(150)).to.deep.equal([]);
    expect(queue.takeBatch(NOBODY, ALL).errands).to.deep.equal([soon]);
  });
});

describe('writer of a server', () => {
  it('tells in time who waits behind batches that are never answered, though nothing comes and nothing lands', async () => {
    let sent = 0;
    const lend = (): Promise<never> => {
      sent += 1;
      return new Promise(() => undefined);
    };
    const silent = { ...SHARD, pool: { lend } } as unknown as Shard;
    const writer = new ServerWriter();
    const apply = (sku_id: string, waitMs: number) => writer.apply(silent, order(sku_id), performance.now() + waitMs);
    for (let batch = 0; batch < BATCHES_MAX; batch += 1) {
      void apply(`${batch}`, 60_000);
      await eventually('it is sent, the one before it being late', 10_000, () => sent === batch + 1);
    }
    expect(await apply('behind', WORK_MS + 300)).to.include({ is: 'not_done' });
    expect(sent).to.equal(BATCHES_MAX);
  });
});

describe('hints of a batch', () => {
  const readingOf = (leaved_amount: number, isOnSale = true): Reading => ({
    flows: new Map(),
    shelves: new Map([['a', { leaved_amount, held_amount: 0, epoch: 0, isOpen: true, isOnSale, isSellable: true }]]),
    returns: new Map(),
    adjustments: new Map(),
    transfers: new Map(),
    totals: new Map(),
  });
  const canGuess = (hints: Hints, operation: Batchable): boolean => hints.doubtOf(operation) === 'nothing';

  it('let new orders be guessed of SKUs that somebody has looked at, and nothing that rests on what stands', () => {
    const hints = new Hints();
    expect(hints.doubtOf(order('a'))).to.equal('all');
    hints.note(readingOf(5));
    expect(canGuess(hints, order('a'))).to.equal(true);
    expect(canGuess(hints, { kind: 'cancel', order_id: 'o', lines: [{ sku_id: 'a', order_detail_id: 'd' }] })).to.equal(
      false,
    );
    expect(canGuess(hints, { kind: 'adjust', sku_id: 'a', adjustment_id: 'a', delta: 1, reason: null })).to.equal(
      false,
    );
  });

  const deducted = ({ lines }: Deduct) =>
    ({ is: 'deducted', lines: lines.map((line) => ({ ...line, replayed: false, returned: 0 })) }) as const;

  it('have an order looked up that asks for more than there was, less what was taken since', () => {
    const hints = new Hints();
    hints.note(readingOf(2));
    for (const expected of [true, true, false]) {
      const next = order('a');
      expect(canGuess(hints, next)).to.equal(expected);
      hints.learn(next, deducted(next));
    }
    hints.note(readingOf(5));
    expect(canGuess(hints, order('a'))).to.equal(true);
  });

  it('have all orders looked up of a SKU that is not on sale', () => {
    const hints = new Hints();
    hints.note(readingOf(100, false));
    expect(canGuess(hints, order('a'))).to.equal(false);
  });

  it('have an order looked up whose ids were seen', () => {
    const hints = new Hints();
    hints.note(readingOf(5));
    const seen = order('a');
    hints.learn(seen, deducted(seen));
    expect([hints.doubtOf(seen), hints.doubtOf(order('a'))]).to.deep.equal(['ids', 'nothing']);
    // What stands there says no: then all counts.
    hints.learn(seen, { is: 'deferred' });
    expect(hints.doubtOf(seen)).to.equal('all');
  });
});

describe('recall of a batch', () => {
  const operation = order('a');
  const [line] = operation.lines as [Deduct['lines'][number]];
  const done = { is: 'deducted', lines: [{ ...line, replayed: false, returned: 0 }] } as const;
  const read = (flow: Partial<LedgerFlow> | null, leaved_amount = 10, held_amount = 0): Reading => ({
    flows: new Map([
      [
        flowKeyText(line),
        flow === null
          ? null
          : { ...line, order_id: 'o', attempt: 0, returned: 0, status: 'deducted', sub_row: 0, ...flow },
      ],
    ]),
    shelves: new Map([['a', { leaved_amount, held_amount, epoch: 0, isOpen: true, isOnSale: true, isSellable: true }]]),
    returns: new Map(),
    adjustments: new Map(),
    transfers: new Map(),
    totals: new Map(),
  });

  it('tells what stands as it was meant, and what does not stand as undone', () => {
    expect(recallOne(operation, done, read({}))).to.deep.equal(done);
    expect(recallOne(operation, done, read(null))).to.include({ is: 'not_done' });
    // Sold to somebody else meanwhile: still not refused, but never done.
    expect(recallOne(operation, done, read(null, 0))).to.include({ is: 'not_done' });
  });

  it('tells what was cancelled since as done, not as refused', () => {
    expect(recallOne(operation, done, read({ status: 'cancelled', returned: 1 }))).to.deep.equal(done);
  });

  it('tells as a replay what was there before', () => {
    const replay = { is: 'deducted', lines: [{ ...line, replayed: true, returned: 0 }] };
    expect(recallOne(operation, done, read({}), () => true)).to.deep.equal(replay);
    expect(recallOne(operation, done, read({ status: 'cancelled' }), () => true)).to.include({ is: 'not_done' });
  });

  it('says nothing that is only said among batches', () => {
    expect(recallOne(operation, { is: 'lacking', sku_ids: ['a'] }, read(null, 0, 10))).to.include({ is: 'not_done' });
    expect(recallOne(operation, { is: 'deferred' }, read(null))).to.include({ is: 'not_done' });
  });

  it('tells a refusal only while it is one', () => {
    const short = { is: 'refused', code: 'insufficient_stock', lines: [] } as const;
    expect(recallOne(operation, short, read(null, 0))).to.include({ is: 'refused', code: 'insufficient_stock' });
    expect(recallOne(operation, short, read(null, 1))).to.include({ is: 'not_done' });
    expect(recallOne(operation, short, read({}))).to.include({ is: 'not_done' });
  });
});
