import { expect } from 'chai';
import type { BatchOperation } from '../../src/core/ledger/decide.ts';
import type { LedgerFlow, LedgerRows } from '../../src/core/ledger/ledger.ts';
import { flowKeyText } from '../../src/core/types.ts';
import { stockRowKeysOf } from '../../src/core/operation.ts';
import type { Deduct } from '../../src/core/operation.ts';
import { resolveInDoubtOperation } from '../../src/mysql/batching/inDoubtOutcome.ts';
import { Hints } from '../../src/mysql/batching/hints.ts';
import { BatchQueue } from '../../src/mysql/batching/batchQueue.ts';
import type { BatchClass, QueuedOperation } from '../../src/mysql/batching/batchQueue.ts';
import type { Shard } from '../../src/mysql/shard.ts';
import { ServerWriter } from '../../src/mysql/batching/serverWriter.ts';
import { WORK_MS } from '../../src/mysql/connection/transaction.ts';
import { queueOf, shardOf } from '../support/engines/queueShard.ts';
import { eventually } from '../support/run/eventually.ts';

/** The number of batches that may be under way at once. */
const BATCHES_MAX = 6;

const NONE_BUSY = (): boolean => false;
const ANY_CLASS = (): boolean => true;
const UNLOCKED_CLASSES = (batchClass: BatchClass): boolean => typeof batchClass === 'string';
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

function queued(operation: Deduct, deadlineMs = 1_000, shard = SHARD): QueuedOperation {
  return {
    parts: [{ shard, operation }],
    stockRows: stockRowKeysOf(operation),
    isUrgent: false,
    deadlineMs,
    resolve: () => undefined,
    reject: () => undefined,
  };
}

describe('batch queue', () => {
  it('returns all waiting operations in the order of their arrival', () => {
    const all = [queued(order('a')), queued(order('b')), queued(order('a', 'b'))];
    const queue = queueOf(...all);
    expect(queue.takeBatch(NONE_BUSY, ANY_CLASS).batch).to.deep.equal(all);
    expect(SHARD.batchAdmission.count).to.equal(0);
  });

  it('returns operations that were put back before all others', () => {
    const [first, second, third] = [queued(order('a')), queued(order('b')), queued(order('c'))];
    const queue = queueOf(third);
    queue.requeue([first, second]);
    expect(queue.takeBatch(NONE_BUSY, ANY_CLASS).batch).to.deep.equal([first, second, third]);
  });

  it('keeps operations waiting while a batch with their SKU is under way', () => {
    const [busy, both, free] = [queued(order('a')), queued(order('a', 'b')), queued(order('b'))];
    const queue = queueOf(busy, both, free);
    expect(queue.takeBatch((sku_id) => sku_id === 'a', ANY_CLASS).batch).to.deep.equal([free]);
    expect(queue.takeBatch(NONE_BUSY, ANY_CLASS).batch).to.deep.equal([busy, both]);
  });

  it('bounds the lines of a batch, except for a single order with more lines', () => {
    const large = queued(order(...Array.from({ length: 600 }, (_, index) => `${index}`)));
    const small = Array.from({ length: 600 }, () => queued(order('a')));
    const queue = queueOf(large, ...small);
    expect(queue.takeBatch(NONE_BUSY, ANY_CLASS).batch).to.deep.equal([large]);
    expect(queue.takeBatch(NONE_BUSY, ANY_CLASS).batch).to.have.length(512);
    expect(queue.takeBatch(NONE_BUSY, ANY_CLASS).batch).to.have.length(88);
    const narrow = new BatchQueue(() => true, 8);
    for (const one of [...small.slice(0, 9), queued(order('a', 'b'))]) narrow.add(one);
    expect([8, 2].map(() => narrow.takeBatch(NONE_BUSY, ANY_CLASS).batch.length)).to.deep.equal([8, 2]);
  });

  it('sends the operations of a locked SKU in a batch of their own, and only when that class may leave', () => {
    const [locked, again, free, other] = [
      queued(order('a')),
      queued(order('a')),
      queued(order('b')),
      queued(order('c')),
    ];
    const queue = queueOf(locked, free, again, other);
    queue.lock(['a', 'c'], true);
    expect(queue.takeBatch(NONE_BUSY, UNLOCKED_CLASSES).batch).to.deep.equal([free]);
    expect(queue.takeBatch(NONE_BUSY, UNLOCKED_CLASSES).batch).to.deep.equal([]);
    expect(queue.takeBatch(NONE_BUSY, ANY_CLASS).batch).to.deep.equal([locked, again]);
    queue.unlock(['a', 'c'], false);
    queue.requeue([locked, again]);
    expect(
      queue.takeBatch(NONE_BUSY, UNLOCKED_CLASSES).batch,
      'the mark stays after a batch that only read',
    ).to.deep.equal([]);
    expect(queue.takeBatch(NONE_BUSY, ANY_CLASS).batch).to.deep.equal([locked, again]);
    queue.unlock(['a', 'c'], true);
    expect(queue.takeBatch(NONE_BUSY, UNLOCKED_CLASSES).batch).to.deep.equal([other]);
  });

  it('sends the operations of a possibly locked SKU in a batch of their own, until one is answered', () => {
    const [first, second, free] = [queued(order('a')), queued(order('a')), queued(order('b'))];
    const queue = queueOf(first, free);
    queue.lock(['a'], false);
    expect(queue.takeBatch(NONE_BUSY, ANY_CLASS).batch).to.deep.equal([first]);
    queue.unlock(['a'], false);
    queue.add(second);
    expect(queue.takeBatch(NONE_BUSY, ANY_CLASS).batch).to.deep.equal([free, second]);
  });

  it('returns the operations that name a given SKU and have too little time left', () => {
    const [soon, late, other] = [queued(order('a', 'b'), 100), queued(order('a'), 200), queued(order('c'), 100)];
    const queue = queueOf(soon, late, other);
    expect(queue.takeWithRows(new Set(['a']), 150)).to.deep.equal([soon]);
    expect(queue.takeBatch(NONE_BUSY, ANY_CLASS).batch).to.deep.equal([late, other]);
  });

  it('keeps operations that need a read apart from the others, so that they delay none of them', () => {
    const [first, unguessable, last] = [queued(order('a')), queued(order('b')), queued(order('c'))];
    const queue = new BatchQueue((parts) => parts !== unguessable.parts);
    for (const each of [first, unguessable, last]) queue.add(each);
    expect(queue.takeBatch(NONE_BUSY, ANY_CLASS)).to.deep.equal({ batch: [first, last], batchClass: 'guessed' });
    expect(queue.takeBatch(NONE_BUSY, (batchClass) => batchClass === 'guessed').batch).to.deep.equal([]);
    expect(queue.takeBatch(NONE_BUSY, ANY_CLASS)).to.deep.equal({ batch: [unguessable], batchClass: 'looked up' });
  });

  it('keeps operations for a shard that is not served apart from the others', () => {
    const unserved = shardOf(false);
    const [lost, found, too] = [
      queued(order('a'), 1_000, unserved),
      queued(order('b')),
      queued(order('c'), 1_000, unserved),
    ];
    const queue = queueOf(lost, found, too);
    expect(queue.takeBatch(NONE_BUSY, UNLOCKED_CLASSES).batch).to.deep.equal([found]);
    expect(queue.takeBatch(NONE_BUSY, ANY_CLASS).batch).to.deep.equal([lost, too]);
  });

  it('bounds the operations that wait for one shard', () => {
    const narrow = shardOf(true, 1);
    const [first, second, other] = [
      queued(order('a'), 1_000, narrow),
      queued(order('b'), 1_000, narrow),
      queued(order('c')),
    ];
    const queue = new BatchQueue(() => true);
    expect([first, second, other].map((each) => queue.add(each))).to.deep.equal([true, false, true]);
    expect(queue.takeBatch(NONE_BUSY, ANY_CLASS).batch).to.deep.equal([first, other]);
    expect(queue.add(second)).to.equal(true);
  });

  it('removes expired operations', () => {
    const [late, soon] = [queued(order('a'), 100), queued(order('b'), 200)];
    const queue = queueOf(late, soon);
    expect(queue.takeExpired(150)).to.deep.equal([late]);
    expect(queue.takeExpired(150)).to.deep.equal([]);
    expect(queue.takeBatch(NONE_BUSY, ANY_CLASS).batch).to.deep.equal([soon]);
  });
});

describe('server writer', () => {
  it('answers in time an operation behind unanswered batches, although no event wakes the writer', async () => {
    let sent = 0;
    const lend = (): Promise<never> => {
      sent += 1;
      return new Promise(() => undefined);
    };
    const silent = { ...SHARD, pool: { lend } } as unknown as Shard;
    const writer = new ServerWriter();
    const apply = (sku_id: string, waitMs: number) =>
      writer.apply([{ shard: silent, operation: order(sku_id) }], performance.now() + waitMs);
    for (let batch = 0; batch < BATCHES_MAX; batch += 1) {
      void apply(`${batch}`, 60_000);
      await eventually('it is sent, because the batch before it is late', 10_000, () => sent === batch + 1);
    }
    expect(await apply('behind', WORK_MS + 300)).to.include({ is: 'not_done' });
    expect(sent).to.equal(BATCHES_MAX);
  });
});

describe('batch hints', () => {
  const readingOf = (leaved_amount: number, isOnSale = true): LedgerRows => ({
    flows: new Map(),
    stockRows: new Map([['a', { leaved_amount, held_amount: 0, epoch: 0, isOpen: true, isOnSale, isSellable: true }]]),
    returns: new Map(),
    adjustments: new Map(),
    transfers: new Map(),
    totals: new Map(),
    records: new Map(),
  });
  const canGuess = (hints: Hints, operation: BatchOperation): boolean =>
    hints.requiredReadOf([{ operation }]) === 'nothing';

  it('allow a guess for new orders of SKUs that were read, but for no operation that depends on existing flows', () => {
    const hints = new Hints();
    expect(hints.requiredReadOf([{ operation: order('a') }])).to.equal('all');
    hints.storeReading(readingOf(5));
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

  it('require a read for an order of more units than were last read, less the units taken since', () => {
    const hints = new Hints();
    hints.storeReading(readingOf(2));
    for (const expected of [true, true, false]) {
      const next = order('a');
      expect(canGuess(hints, next)).to.equal(expected);
      hints.storeDecision([{ operation: next }], deducted(next));
    }
    hints.storeReading(readingOf(5));
    expect(canGuess(hints, order('a'))).to.equal(true);
  });

  it('require a read for every order of a SKU that is not on sale', () => {
    const hints = new Hints();
    hints.storeReading(readingOf(100, false));
    expect(canGuess(hints, order('a'))).to.equal(false);
  });

  it('require a read for an order whose ids were seen before', () => {
    const hints = new Hints();
    hints.storeReading(readingOf(5));
    const seen = order('a');
    hints.storeDecision([{ operation: seen }], deducted(seen));
    expect([
      hints.requiredReadOf([{ operation: seen }]),
      hints.requiredReadOf([{ operation: order('a') }]),
    ]).to.deep.equal(['ids', 'nothing']);
    // The flows under its ids do not decide it: then everything is read.
    hints.storeDecision([{ operation: seen }], { is: 'deferred' });
    expect(hints.requiredReadOf([{ operation: seen }])).to.equal('all');
  });
});

describe('in-doubt resolution of a batch', () => {
  const operation = order('a');
  const [line] = operation.lines as [Deduct['lines'][number]];
  const done = { is: 'deducted', lines: [{ ...line, replayed: false, returned: 0 }] } as const;
  const read = (flow: Partial<LedgerFlow> | null, leaved_amount = 10, held_amount = 0): LedgerRows => ({
    flows: new Map([
      [
        flowKeyText(line),
        flow === null
          ? null
          : { ...line, order_id: 'o', attempt: 0, returned: 0, status: 'deducted', sub_row: 0, ...flow },
      ],
    ]),
    stockRows: new Map([
      ['a', { leaved_amount, held_amount, epoch: 0, isOpen: true, isOnSale: true, isSellable: true }],
    ]),
    returns: new Map(),
    adjustments: new Map(),
    transfers: new Map(),
    totals: new Map(),
    records: new Map(),
  });

  it('returns the intended outcome for a flow that exists, and not_done for a missing one', () => {
    expect(resolveInDoubtOperation([{ operation, reading: read({}) }], done)).to.deep.equal(done);
    expect(resolveInDoubtOperation([{ operation, reading: read(null) }], done)).to.include({ is: 'not_done' });
    // Sold to another order meanwhile: not done, and not a refusal.
    expect(resolveInDoubtOperation([{ operation, reading: read(null, 0) }], done)).to.include({ is: 'not_done' });
  });

  it('returns the intended outcome, not a refusal, for a line that was cancelled since', () => {
    expect(
      resolveInDoubtOperation([{ operation, reading: read({ status: 'cancelled', returned: 1 }) }], done),
    ).to.deep.equal(done);
  });

  it('returns a replay for a flow that existed before the batch', () => {
    const replay = { is: 'deducted', lines: [{ ...line, replayed: true, returned: 0 }] };
    expect(resolveInDoubtOperation([{ operation, reading: read({}) }], done, () => true)).to.deep.equal(replay);
    expect(
      resolveInDoubtOperation([{ operation, reading: read({ status: 'cancelled' }) }], done, () => true),
    ).to.include({
      is: 'not_done',
    });
  });

  it('returns no outcome that is internal to batches', () => {
    expect(
      resolveInDoubtOperation([{ operation, reading: read(null, 0, 10) }], { is: 'lacking', sku_ids: ['a'] }),
    ).to.include({
      is: 'not_done',
    });
    expect(resolveInDoubtOperation([{ operation, reading: read(null) }], { is: 'deferred' })).to.include({
      is: 'not_done',
    });
  });

  it('returns a refusal only while the rows still refuse', () => {
    const short = { is: 'refused', code: 'insufficient_stock', lines: [] } as const;
    expect(resolveInDoubtOperation([{ operation, reading: read(null, 0) }], short)).to.include({
      is: 'refused',
      code: 'insufficient_stock',
    });
    expect(resolveInDoubtOperation([{ operation, reading: read(null, 1) }], short)).to.include({ is: 'not_done' });
    expect(resolveInDoubtOperation([{ operation, reading: read({}) }], short)).to.include({ is: 'not_done' });
  });
});
