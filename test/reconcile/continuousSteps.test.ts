import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { OpenDifferences } from '../../src/core/books/openDifferences.ts';
import type { StockDifference } from '../../src/core/books/reconciliation.ts';
import { nextStepSkus, pauseAfterRecords, pauseAfterStep, STEP_SKUS_MAX } from '../../src/core/books/walkPace.ts';
import type { Auditor } from '../../src/core/ports/auditor.ts';
import type { ReconciliationWalks } from '../../src/core/ports/reconciliationWalks.ts';
import { ShardAuditor } from '../../src/mysql/books/auditor.ts';
import { ReconciliationWalkStore } from '../../src/mysql/books/reconciliationWalkStore.ts';
import type { Shard } from '../../src/mysql/shard.ts';
import { ContinuousReconciler } from '../../src/service/reconcile/continuousReconciler.ts';
import { Routing } from '../../src/service/routing/routing.ts';
import { SlotMap } from '../../src/core/slots.ts';
import { ShardReader } from '../../src/mysql/shardReader.ts';
import { openShards } from '../support/engines/engines.ts';
import { eventually } from '../support/run/eventually.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import type { OwnShards } from '../support/rows/ownShards.ts';

const WAIT_MS = 3_000;
/** More SKUs than one step compares. */
const SKUS = STEP_SKUS_MAX + 50;
const ROUND_MS = 60_000;

interface Reports {
  readonly found: StockDifference[];
  readonly gone: StockDifference[];
  readonly unread: { readonly reason: string; readonly sku_ids: readonly string[] }[];
  skus: number;
  rounds: number;
  isOther: boolean;
  open: number;
}

describe('steps of the continuous reconciliation', () => {
  let own: OwnShards;
  let shards: readonly Shard[];
  const ID = (place: number): string => `sku-${String(place).padStart(4, '0')}`;

  beforeEach(async () => {
    own = await ownShards({ count: 1, migrated: true });
    const rows = Array.from({ length: SKUS }, (_, place) => `('${ID(place)}', 0, 10, 10)`);
    await own.query(0, `INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount) VALUES ${rows.join(', ')}`);
    shards = openShards({ shards: await own.load(), initialShards: 1 }, WAIT_MS);
    await Promise.all(shards.map(({ tried }) => tried));
  });
  afterEach(async () => {
    for (const { pool } of shards) pool.close();
    await own.drop();
  });

  function reconciler(
    name: string,
    around: (auditor: Auditor) => Auditor = (auditor) => auditor,
    aroundWalks: (walks: ReconciliationWalks) => ReconciliationWalks = (walks) => walks,
  ) {
    const reports: Reports = { found: [], gone: [], unread: [], skus: 0, rounds: 0, isOther: false, open: 0 };
    const reader = new ShardReader(shards, () => undefined);
    const continuous = new ContinuousReconciler(
      {
        routing: new Routing(new SlotMap(1), reader, 1),
        auditor: around(new ShardAuditor(shards)),
        walks: aroundWalks(new ReconciliationWalkStore(shards)),
      },
      {
        ...{ shardCount: 1, token: Buffer.from(name.padEnd(16)).toString('hex'), roundMs: ROUND_MS, recheckMs: 0 },
        onStep: (_, { skus }) => (reports.skus += skus),
        onRound: () => (reports.rounds += 1),
        onFound: (difference) => reports.found.push(difference),
        onGone: (difference) => reports.gone.push(difference),
        onCounts(_, counts) {
          reports.isOther = counts === null;
          reports.open = [...(counts?.values() ?? [])].reduce((sum, count) => sum + count, 0);
        },
        onUnread: (_, reason, sku_ids) => reports.unread.push({ reason, sku_ids }),
        onFault: (error) => {
          throw error;
        },
      },
    );
    return { reports, step: () => continuous.stepSkus(0), stop: () => continuous.stop() };
  }
  const untilRounds = async ({ reports, step }: ReturnType<typeof reconciler>, rounds: number): Promise<void> => {
    for (let steps = 0; reports.rounds < rounds && steps < 40; steps += 1) await step();
    expect(reports.rounds).to.equal(rounds);
  };
  /** After a read of the open differences there is a pause. */
  const untilGone = ({ reports, step }: ReturnType<typeof reconciler>, count: number): Promise<void> =>
    eventually('it is gone', 10_000, async () => {
      await step();
      return reports.gone.length === count;
    });
  const plant = (place: number, units: number): Promise<unknown> =>
    own.query(0, `UPDATE stock SET leaved_amount = leaved_amount + ${units} WHERE sku_id = '${ID(place)}'`);

  it('compare every SKU once in a round, and find a difference of one unit wherever it is', async () => {
    const one = reconciler('one');
    await untilRounds(one, 1);
    expect(one.reports).to.deep.include({ skus: SKUS, found: [], unread: [] });
    for (const place of [0, STEP_SKUS_MAX / 2, SKUS - 1]) {
      await plant(place, place === 0 ? -1 : 1);
      // The round under way may have passed the SKU already.
      await untilRounds(one, one.reports.rounds + 2);
      expect(one.reports.found.at(-1)).to.deep.include({ kind: 'leaved_amount', sku_id: ID(place) });
      await plant(place, place === 0 ? 1 : -1);
      await untilGone(one, one.reports.found.length);
      expect(one.reports.gone.at(-1)).to.deep.include({ kind: 'leaved_amount', sku_id: ID(place) });
    }
    expect([one.reports.found.length, one.reports.gone.length]).to.deep.equal([3, 3]);
  });

  it('are taken by one process at a time, and the next one continues from the stored position', async () => {
    const [first, second] = [reconciler('first'), reconciler('second')];
    await first.step();
    expect(first.reports.skus).to.be.within(1, SKUS - 1);
    await second.step();
    expect([second.reports.skus, second.reports.isOther]).to.deep.equal([0, true]);
    await first.stop();
    await untilRounds(second, 1);
    expect(first.reports.skus + second.reports.skus).to.equal(SKUS);
  });

  it('are taken over from a process that died, which stops if it lives', async () => {
    const [first, second] = [reconciler('first'), reconciler('second')];
    await untilRounds(first, 1);
    await own.query(0, 'UPDATE reconciliation_walk SET lease_until = SYSDATE(6) - INTERVAL 1 SECOND');
    await second.step();
    expect(second.reports.skus).to.be.above(0);
    const { rounds } = first.reports;
    for (let steps = 0; steps < 10; steps += 1) await first.step();
    expect([first.reports.rounds, first.reports.isOther]).to.deep.equal([rounds, true]);
  });

  it('are taken over when the clock was set back', async () => {
    const [first, second] = [reconciler('first'), reconciler('second')];
    await first.step();
    await own.query(0, 'UPDATE reconciliation_walk SET lease_until = SYSDATE(6) + INTERVAL 1 HOUR');
    await second.step();
    expect(second.reports.skus).to.be.above(0);
  });

  it('leave out a SKU that takes too long, name it, and compare all others', async () => {
    const slow = ID(7);
    const one = reconciler('one', (auditor) => around(auditor, slow));
    await plant(8, 1);
    await untilRounds(one, 1);
    expect(one.reports.skus).to.equal(SKUS - 1);
    expect(one.reports.found.map(({ sku_id }) => sku_id)).to.deep.equal([ID(8)]);
    expect(one.reports.unread.at(-1)).to.deep.equal({ reason: 'it takes too long', sku_ids: [slow] });
  });

  it('keep a difference that could not be read again', async () => {
    let isReadable = true;
    const one = reconciler('one', (auditor) => around(auditor, '', () => isReadable));
    await plant(3, 1);
    await untilRounds(one, 1);
    isReadable = false;
    // Long enough for several reads of the open difference.
    for (let steps = 0; steps < 10; steps += 1) {
      await one.step();
      await sleep(100);
    }
    expect(one.reports.unread).not.to.have.length(0);
    expect([one.reports.found.length, one.reports.gone.length, one.reports.rounds]).to.deep.equal([1, 0, 1]);
    isReadable = true;
    await plant(3, -1);
    await untilGone(one, 1);
  });

  it('keep a difference while their position cannot be stored', async () => {
    const one = reconciler('one', undefined, (walks) => ({
      take: (...given) => walks.take(...given),
      store: () => Promise.resolve({ is: 'not_stored' }),
      release: (...given) => walks.release(...given),
    }));
    await plant(3, 1);
    for (let steps = 0; steps < 8; steps += 1) await one.step();
    expect([one.reports.found.length, one.reports.open, one.reports.isOther]).to.deep.equal([1, 1, false]);
    expect(one.reports.skus).to.be.above(SKUS);
  });

  it('pass open differences on to the next process, which finds them gone', async () => {
    const [first, second] = [reconciler('first'), reconciler('second')];
    await plant(3, 1);
    await untilRounds(first, 1);
    expect(first.reports.found).to.have.length(1);
    await first.stop();
    await plant(3, -1);
    await second.step();
    expect([second.reports.found, second.reports.gone]).to.deep.equal([[], first.reports.found]);
  });

  it('wait for a shard whose schema has no position yet', async () => {
    await own.query(0, 'UPDATE shard SET schema_level = 12');
    const before = openShards({ shards: await own.load(), initialShards: 1 }, WAIT_MS);
    await Promise.all(before.map(({ tried }) => tried));
    const walks = new ReconciliationWalkStore(before);
    expect(await walks.take(0, 'f'.repeat(32), performance.now() + WAIT_MS)).to.deep.equal({ is: 'not_stored' });
    for (const { pool } of before) pool.close();
  });
});

describe('the pace of the continuous reconciliation', () => {
  it('fits a round into its time, and leaves nine tenths of it to others', () => {
    const step = (skus: number, elapsedMs: number) => ({ skus, elapsedMs });
    expect(pauseAfterStep(step(200, 20), 62_500, 480_000)).to.equal(1_516);
    expect(pauseAfterStep(step(200, 400), 62_500, 480_000)).to.equal(3_600);
    expect(pauseAfterStep(step(5, 10), 5, 480_000)).to.equal(10_000);
    expect(pauseAfterStep(step(0, 10), 0, 480_000)).to.equal(10_000);
    expect(pauseAfterStep(step(0, 10), 400, 480_000)).to.equal(90);
    expect(pauseAfterStep(step(200, 10), null, 480_000)).to.equal(250);
  });

  it('pauses shorter than a lease lasts, also after a long step', () => {
    expect(pauseAfterStep({ skus: 1, elapsedMs: 40_000 }, 100, 480_000)).to.equal(20_000);
  });

  it('reads order records page by page, and begins again after a while', () => {
    expect([pauseAfterRecords(20, false), pauseAfterRecords(20, true)]).to.deep.equal([3_000, 10_000]);
    expect(pauseAfterRecords(1_000, false)).to.equal(9_000);
  });

  it('makes a step smaller when it took long, and larger when it was short', () => {
    expect([nextStepSkus(100, 401), nextStepSkus(30, 9_999), nextStepSkus(20, 9_999)]).to.deep.equal([50, 20, 20]);
    expect([nextStepSkus(1, 9_999), nextStepSkus(16, 9_999)]).to.deep.equal([2, 20]);
    expect([nextStepSkus(100, 300), nextStepSkus(20, 199)]).to.deep.equal([100, 30]);
    expect([nextStepSkus(1, 10), nextStepSkus(150, 10)]).to.deep.equal([2, STEP_SKUS_MAX]);
  });
});

describe('differences that are there', () => {
  const difference = (sku_id: string, more: Partial<StockDifference> = {}): StockDifference => ({
    ...{ kind: 'leaved_amount', shard: 0, sku_id, expected: 1n, actual: 2n },
    ...{ flow_count: 0, order_detail_ids: [], cart: null },
    ...more,
  });

  it('are found once, and are gone when they were read again without them', () => {
    const open = new OpenDifferences();
    const [a, b] = [difference('a'), difference('b')];
    expect(open.add([a, b])).to.deep.equal([a, b]);
    expect(open.add([a, b])).to.deep.equal([]);
    expect([...open.counts()]).to.deep.equal([['leaved_amount', 2]]);
    expect(open.replace([a], [a])).to.deep.equal([]);
    expect(open.replace([b], [])).to.deep.equal([b]);
    expect([...open.counts()]).to.deep.equal([['leaved_amount', 1]]);
    expect(open.add([b])).to.deep.equal([b]);
  });

  it('show their latest numbers, and are read again in turn', () => {
    const open = new OpenDifferences();
    open.add([difference('a'), difference('b')]);
    const changed = difference('a', { actual: 3n });
    open.replace(open.oldest(1), [changed]);
    expect(open.oldest(2)).to.deep.equal([difference('b'), changed]);
  });
});

/** An auditor that cannot sum a SKU, or nothing while `isReadable` returns false. */
function around(auditor: Auditor, slow: string, isReadable = (): boolean => true): Auditor {
  return {
    audit: (shard, sku_ids, deadlineMs) =>
      !isReadable() || sku_ids?.includes(slow) === true
        ? Promise.reject(new Error('it takes too long'))
        : auditor.audit(shard, sku_ids, deadlineMs),
    readSkuIds: (...given) => auditor.readSkuIds(...given),
    readJournalSkuIds: (...given) => auditor.readJournalSkuIds(...given),
    readDecidedCarts: (...given) => auditor.readDecidedCarts(...given),
    readOrderRecords: (...given) => auditor.readOrderRecords(...given),
    readDecisions: (...given) => auditor.readDecisions(...given),
    findFreshCarts: (...given) => auditor.findFreshCarts(...given),
    readTransactionSales: (...given) => auditor.readTransactionSales(...given),
    readFlows: (...given) => auditor.readFlows(...given),
    findFlowsOfCarts: (...given) => auditor.findFlowsOfCarts(...given),
    repair: (...given) => auditor.repair(...given),
  };
}
