import { expect } from 'chai';
import { stockRowKeysOf } from '../../src/core/operation.ts';
import type { Deduct } from '../../src/core/operation.ts';
import { BatchQueue } from '../../src/mysql/batching/batchQueue.ts';
import { LARGEST_PACKET_BYTES, LINES_MAX, OPERATIONS_MAX } from '../../src/mysql/batching/largestPacket.ts';
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
    bytes: 0,
    deadlineMs,
    resolve: () => undefined,
    reject: () => undefined,
  };
}

const take = (
  queue: BatchQueue,
  ...given: Parameters<BatchQueue['takeBatch']> extends [unknown, ...infer Rest] ? Rest : never
) => queue.takeBatch(queue.uncertainRows(), ...given);

describe('batch queue', () => {
  it('returns all waiting operations in the order of their arrival', () => {
    const all = [queued(order('a')), queued(order('b')), queued(order('a', 'b'))];
    const queue = queueOf(...all);
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.deep.equal(all);
    expect(SHARD.batchAdmission.count).to.equal(0);
  });

  it('returns operations that were put back before all others', () => {
    const [first, second, third] = [queued(order('a')), queued(order('b')), queued(order('c'))];
    const queue = queueOf(third);
    queue.requeue([first, second]);
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.deep.equal([first, second, third]);
  });

  it('keeps operations waiting while a batch with their SKU is under way', () => {
    const [busy, both, free] = [queued(order('a')), queued(order('a', 'b')), queued(order('b'))];
    const queue = queueOf(busy, both, free);
    expect(take(queue, (sku_id) => sku_id === 'a', ANY_CLASS).batch).to.deep.equal([free]);
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.deep.equal([busy, both]);
  });

  it('bounds the lines of a batch, except for a single order with more lines', () => {
    const large = queued(order(...Array.from({ length: LINES_MAX + 1 }, (_, index) => `${index}`)));
    const small = Array.from({ length: 600 }, () => queued(order('a')));
    const queue = queueOf(large, ...small);
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.deep.equal([large]);
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.have.length(512);
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.have.length(88);
    const narrow = new BatchQueue(() => true, 8);
    for (const one of [...small.slice(0, 9), queued(order('a', 'b'))]) narrow.add(one);
    expect([8, 2].map(() => take(narrow, NONE_BUSY, ANY_CLASS).batch.length)).to.deep.equal([8, 2]);
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
    expect(take(queue, NONE_BUSY, UNLOCKED_CLASSES).batch).to.deep.equal([free]);
    expect(take(queue, NONE_BUSY, UNLOCKED_CLASSES).batch).to.deep.equal([]);
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.deep.equal([locked, again]);
    queue.unlock(['a', 'c'], false);
    queue.requeue([locked, again]);
    expect(take(queue, NONE_BUSY, UNLOCKED_CLASSES).batch, 'the mark stays after a batch that only read').to.deep.equal(
      [],
    );
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.deep.equal([locked, again]);
    queue.unlock(['a', 'c'], true);
    expect(take(queue, NONE_BUSY, UNLOCKED_CLASSES).batch).to.deep.equal([other]);
  });

  it('sends the operations of a possibly locked SKU in a batch of their own, until one is answered', () => {
    const [first, second, free] = [queued(order('a')), queued(order('a')), queued(order('b'))];
    const queue = queueOf(first, free);
    queue.lock(['a'], false);
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.deep.equal([first]);
    queue.unlock(['a'], false);
    queue.add(second);
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.deep.equal([free, second]);
  });

  it('returns the operations that name a given SKU and have too little time left', () => {
    const [soon, late, other] = [queued(order('a', 'b'), 100), queued(order('a'), 200), queued(order('c'), 100)];
    const queue = queueOf(soon, late, other);
    expect(queue.takeWithRows(new Set(['a']), 150)).to.deep.equal([soon]);
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.deep.equal([late, other]);
  });

  it('keeps operations that need a read apart from the others, so that they delay none of them', () => {
    const [first, unguessable, last] = [queued(order('a')), queued(order('b')), queued(order('c'))];
    const queue = new BatchQueue((parts) => parts !== unguessable.parts);
    for (const each of [first, unguessable, last]) queue.add(each);
    expect(take(queue, NONE_BUSY, ANY_CLASS)).to.deep.equal({ batch: [first, last], batchClass: 'guessed' });
    expect(take(queue, NONE_BUSY, (batchClass) => batchClass === 'guessed').batch).to.deep.equal([]);
    expect(take(queue, NONE_BUSY, ANY_CLASS)).to.deep.equal({ batch: [unguessable], batchClass: 'looked up' });
  });

  it('keeps operations for a shard that is not served apart from the others', () => {
    const unserved = shardOf(false);
    const [lost, found, too] = [
      queued(order('a'), 1_000, unserved),
      queued(order('b')),
      queued(order('c'), 1_000, unserved),
    ];
    const queue = queueOf(lost, found, too);
    expect(take(queue, NONE_BUSY, UNLOCKED_CLASSES).batch).to.deep.equal([found]);
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.deep.equal([lost, too]);
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
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.deep.equal([first, other]);
    expect(queue.add(second)).to.equal(true);
  });

  it('ends a batch before its lines, its operations or its bytes pass their bounds', () => {
    const big = queued(order('a'));
    const withBytes = [0.6, 0.6].map((share) => ({ ...big, bytes: share * LARGEST_PACKET_BYTES }));
    const taken = (queue: BatchQueue): number => take(queue, NONE_BUSY, ANY_CLASS).batch.length;
    expect(taken(queueOf(...withBytes))).to.equal(1);
    const many = Array.from({ length: OPERATIONS_MAX + 1 }, () => queued(order('a')));
    expect(taken(queueOf(...many))).to.equal(OPERATIONS_MAX);
    const wide = Array.from({ length: 3 }, () => queued(order(...Array.from({ length: 600 }, () => 'a'))));
    expect(taken(queueOf(...wide))).to.equal(2);
    // Decisions and completions are no new work, so only lines and bytes bound them.
    expect(taken(queueOf(...many.map((each) => ({ ...each, isUrgent: true }))))).to.equal(OPERATIONS_MAX + 1);
  });

  it('lets decisions and completions enter above the bound, and leave first', () => {
    const narrow = shardOf(true, 1);
    const [first, second] = [queued(order('a'), 1_000, narrow), queued(order('b'), 1_000, narrow)];
    const urgent = { ...queued(order('c'), 1_000, narrow), isUrgent: true };
    const queue = new BatchQueue(() => true);
    expect([first, second, urgent].map((each) => queue.add(each))).to.deep.equal([true, false, true]);
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.deep.equal([urgent, first]);
  });

  it('returns operations that were put back first, then urgent ones, each in the order of their arrival', () => {
    const [early, late, putBack] = [queued(order('a')), queued(order('b')), queued(order('c'))];
    const [first, second] = [queued(order('d')), queued(order('e'))].map((each) => ({ ...each, isUrgent: true }));
    if (first === undefined || second === undefined) throw new Error('there are two urgent operations');
    const queue = queueOf(early, first, late, second);
    queue.requeue([putBack]);
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.deep.equal([putBack, first, second, early, late]);
    expect(queue.isEmpty).to.equal(true);
  });

  it('admits an operation over several shards only where all of them have room', () => {
    const [narrow, wide] = [shardOf(true, 1), shardOf(true)];
    const both = { ...queued(order('a')), parts: [wide, narrow].map((shard) => ({ shard, operation: order('a') })) };
    const queue = new BatchQueue(() => true);
    expect([both, both].map((each) => queue.add(each))).to.deep.equal([true, false]);
    expect([wide.batchAdmission.count, narrow.batchAdmission.count]).to.deep.equal([1, 1]);
  });

  it('removes operations over several shards one of which does not serve', () => {
    const parts = [shardOf(true), shardOf(false)].map((shard) => ({ shard, operation: order('a') }));
    const [joint, other] = [{ ...queued(order('a')), parts }, queued(order('b'))];
    const queue = queueOf(joint, other);
    expect(queue.takeUnserved()).to.deep.equal([joint]);
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.deep.equal([other]);
  });

  it('keeps operations with a locked row and other rows apart from those of the locked row alone', () => {
    const [alone, several, other] = [queued(order('a')), queued(order('a', 'b')), queued(order('c'))];
    const queue = queueOf(alone, several, other);
    queue.lock(['a'], true);
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.deep.equal([alone]);
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.deep.equal([several]);
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.deep.equal([other]);
  });

  it('removes expired operations', () => {
    const [late, soon] = [queued(order('a'), 100), queued(order('b'), 200)];
    const queue = queueOf(late, soon);
    expect(queue.takeExpired(150)).to.deep.equal([late]);
    expect(queue.takeExpired(150)).to.deep.equal([]);
    expect(take(queue, NONE_BUSY, ANY_CLASS).batch).to.deep.equal([soon]);
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
