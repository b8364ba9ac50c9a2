import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect } from 'chai';
import { inParallel } from '../../scripts/support/inParallel.ts';
import { hashesOf, IdFilter } from '../../src/core/precheck/idFilter.ts';
import { subRowOf } from '../../src/core/hot/layout.ts';
import { decide } from '../../src/core/ledger/decide.ts';
import { adjustmentKeyText, Ledger } from '../../src/core/ledger/ledger.ts';
import { flowKeyText } from '../../src/core/types.ts';
import { SoldOutSkus } from '../../src/service/precheck/soldOutSkus.ts';
import { eventually } from '../support/run/eventually.ts';
import { fresh, startTestGateway } from '../support/gateway/gateway.ts';
import type { TestGateway } from '../support/gateway/gateway.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import type { OwnShards } from '../support/rows/ownShards.ts';
import {
  allServe,
  precheckedShards,
  refusedEarly,
  restockAfterSellOut,
  sellOut,
} from '../support/systems/precheckGateway.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
const ROUNDS = LONG ? 200 : 16;
const SHARDS = 2;

for (const engine of ['batching', 'textbook']) {
  describe(`early refusals from memory, engine: ${engine}`, () => {
    let shards: OwnShards;
    let gateways: TestGateway[];
    const at = (gateway: number): TestGateway => gateways[gateway]!;

    before(async () => {
      shards = await precheckedShards(SHARDS);
      gateways = await Promise.all(
        [0, 1, 2].map(() => startTestGateway({ STOCKGATE_PRECHECK: 'memory', STOCKGATE_ENGINE: engine }, shards)),
      );
      await Promise.all(gateways.map(allServe));
    });

    after(async () => {
      await Promise.all(gateways.map((gateway) => gateway.stop()));
      await shards.drop();
    });

    it('refuse new ids of a sold-out SKU, and no id that was ever accepted', async () => {
      const sku_id = fresh('sold out');
      const sold = await sellOut(at(0), sku_id, 40);
      await Promise.all([0, 1, 2].map((gateway) => refusedEarly(at(gateway), sku_id)));
      for (const [place, order_detail_id] of sold.entries()) {
        const again = await at(place % 3).deduct({ sku_id, order_detail_id, quantity: 1 });
        expect([again.status, again.body?.replayed], again.text).to.deep.equal([200, true]);
      }
      const other = await at(1).deduct({ sku_id, order_detail_id: sold[0] ?? '', quantity: 2 });
      expect(other.body).to.include({ code: 'idempotency_conflict' });
    });

    it(`spare ids that another gateway accepted, and end 2 s after a restock: ${ROUNDS} rounds`, async () => {
      const rounds = Array.from({ length: ROUNDS }, (_, round) => round);
      await inParallel(rounds, 8, (round) => restockAfterSellOut(gateways, round));
    });

    it('count restocked units as absent for a purchase, and as present for a write-off', async () => {
      const sku_id = fresh('written off');
      await sellOut(at(0), sku_id, 1);
      const adjust = (adjustment_id: string, delta: number) =>
        at(0).adminPost(`/v1/skus/${encodeURIComponent(sku_id)}/adjustments`, { adjustment_id, delta });
      expect((await adjust('in', 5)).status).to.equal(201);
      expect((await at(1).deduct({ sku_id, order_detail_id: 'too early', quantity: 1 })).body).to.include({
        code: 'insufficient_stock',
      });
      expect((await adjust('out', -2)).status).to.equal(201);
      expect((await at(2).get(`/v1/skus/${encodeURIComponent(sku_id)}`)).body).to.include({ leaved_amount: 3 });
      // Units that join units already present do not wait a second time.
      expect((await adjust('more', 1)).status).to.equal(201);
      await eventually(
        'the units are sold',
        2_000,
        async () => (await at(1).deduct({ sku_id, order_detail_id: 'all', quantity: 4 })).status === 201,
      );
    });

    it('refuse a SKU of several rows only when all rows are empty and no transfer is under way', async () => {
      const sku_id = fresh('split');
      await at(0).openSku(sku_id, 40);
      const { client, adminUrl } = at(0);
      const hot = `${adminUrl}/v1/skus/${encodeURIComponent(sku_id)}/hot`;
      expect((await client.call({ method: 'PUT', url: hot, body: { sub_rows: 4 } })).status).to.equal(200);
      const ids = Array.from({ length: 40 }, (_, number) => `d${number}`);
      for (const order_detail_id of ids)
        expect((await at(0).deduct({ sku_id, order_detail_id, quantity: 1 })).status, order_detail_id).to.equal(201);
      await Promise.all([1, 2].map((gateway) => refusedEarly(at(gateway), sku_id)));
      for (const order_detail_id of ids)
        expect((await at(1).deduct({ sku_id, order_detail_id, quantity: 1 })).body).to.include({ replayed: true });
      expect((await client.call({ method: 'DELETE', url: hot })).status).to.equal(200);
      await eventually('it is refused early in one row too', 5_000, () => refusedEarly(at(2), sku_id).then(() => true));
      const began = performance.now();
      expect(
        (await at(1).post('/v1/returns', { return_id: 'r', order_detail_id: 'd7', sku_id, quantity: 1 })).status,
      ).to.equal(201);
      await eventually(
        'the returned unit is sold',
        5_000,
        async () => (await at(1).deduct({ sku_id, order_detail_id: 'last', quantity: 1 })).status === 201,
      );
      expect(performance.now() - began).to.be.above(900);
      expect((await at(2).deduct({ sku_id, order_detail_id: 'last', quantity: 1 })).status).to.equal(200);
    });

    it('do not move sellable units to a row whose new units are delayed', async () => {
      const sku_id = fresh('kept apart');
      const { client, adminUrl } = at(0);
      const idIn = (sub_row: number, name: string): string =>
        Array.from({ length: 99 }, (_, number) => `${name} ${number}`).find((id) => subRowOf(id, 2) === sub_row) ?? '';
      const buy = (sub_row: number, name: string, quantity: number) =>
        at(0).deduct({ sku_id, order_detail_id: idIn(sub_row, name), quantity });
      const restock = (adjustment_id: string, delta: number) =>
        at(0).adminPost(`/v1/skus/${encodeURIComponent(sku_id)}/adjustments`, { adjustment_id, delta });
      await at(0).openSku(sku_id, 4);
      expect(
        (
          await client.call({
            method: 'PUT',
            url: `${adminUrl}/v1/skus/${encodeURIComponent(sku_id)}/hot`,
            body: { sub_rows: 2 },
          })
        ).status,
      ).to.equal(200);
      expect([(await buy(1, 'sold', 1)).status, (await buy(0, 'sold', 3)).status]).to.deep.equal([201, 201]);
      // One unit is too small to be distributed, so it stays in the first row.
      expect((await restock('one', 1)).status).to.equal(201);
      await sleep(1_100);
      expect(
        (await at(0).post('/v1/returns', { return_id: 'r', order_detail_id: idIn(1, 'sold'), sku_id, quantity: 1 }))
          .status,
      ).to.equal(201);
      expect((await restock('five', 5)).status).to.equal(201);
      // The second row has no unit that it may sell, so the rebalance moves this unit there from the first.
      expect((await buy(1, 'small', 1)).status).to.equal(201);
      const large = await buy(0, 'large', 5);
      expect(large.status, large.text).to.equal(201);
    });

    it('delay a return to an empty stock row too, and delay nothing where units are left', async () => {
      const sku_id = fresh('returned');
      const [order_detail_id = ''] = await sellOut(at(0), sku_id, 1);
      expect(
        (await at(0).post('/v1/returns', { return_id: 'r', order_detail_id, sku_id, quantity: 1 })).status,
      ).to.equal(201);
      expect((await at(0).deduct({ sku_id, order_detail_id: 'too early', quantity: 1 })).status).to.equal(409);
      await sleep(1_100);
      expect((await at(0).deduct({ sku_id, order_detail_id: 'in time', quantity: 1 })).status).to.equal(201);
      const plenty = fresh('plenty');
      await at(0).openSku(plenty, 1);
      expect(
        (await at(0).adminPost(`/v1/skus/${plenty}/adjustments`, { adjustment_id: 'a', delta: 1 })).status,
      ).to.equal(201);
      expect((await at(0).deduct({ sku_id: plenty, order_detail_id: 'd', quantity: 2 })).status).to.equal(201);
    });
  });
}

describe('early refusals', () => {
  it('store a bounded number of SKUs and ids, however many are requested', () => {
    const soldOut = new SoldOutSkus();
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const megabytes = (): number => {
      collect();
      return process.memoryUsage().heapUsed / 2 ** 20;
    };
    const before = megabytes();
    for (let sku = 0; sku < 10_000_000; sku += 1) soldOut.add(`sku-${sku}`, sku);
    expect(soldOut.size).to.be.within(9_000, 10_000);
    expect(megabytes() - before).to.be.below(50);
    const filter = IdFilter.of([Uint32Array.from({ length: 1_000_000 }, (_, id) => id)]);
    for (let sku = 0; sku < 100; sku += 1) {
      const sku_id = `large-${sku}`;
      soldOut.add(sku_id, 0);
      soldOut.update({ sku_id, leaved_amount: 0, isEmpty: true, version: 1, mode: 'single', rows: [], asOfMs: 0 });
      soldOut.updateIds(sku_id, { version: 1, filter }, 0);
    }
    expect(soldOut.idCount).to.be.at.most(8_000_000);
  });

  it('need recent readings of one version, and let accepted ids pass', () => {
    const soldOut = new SoldOutSkus();
    const reading = {
      sku_id: 'a',
      leaved_amount: 0,
      isEmpty: true,
      version: 3,
      mode: 'single' as const,
      rows: [],
      asOfMs: 1_000,
    };
    const judge = (order_detail_id: string, nowMs: number): string => soldOut.decide('a', order_detail_id, nowMs);
    expect(judge('new', 1_000)).to.equal('pass');
    soldOut.add('a', 1_000);
    expect(soldOut.update(reading)).to.equal(true);
    expect(judge('new', 1_000), 'ids unknown').to.equal('pass');
    soldOut.updateIds('a', { version: 3, filter: IdFilter.of([hashesOf(['known'])]) }, 1_000);
    expect([judge('new', 1_949), judge('known', 1_949), judge('new', 1_951)]).to.deep.equal(['refuse', 'pass', 'ask']);
    expect(soldOut.update({ ...reading, version: 2, asOfMs: 1_900 }), 'an older version').to.equal(false);
    expect(judge('new', 3_000)).to.equal('ask');
    expect(soldOut.update({ ...reading, version: 5, asOfMs: 3_000 }), 'ids of another version').to.equal(true);
    expect(judge('new', 3_000)).to.equal('ask');
    soldOut.update({ ...reading, version: 6, leaved_amount: 1, isEmpty: false, asOfMs: 3_100 });
    soldOut.updateIds('a', { version: 5, filter: IdFilter.of([]) }, 3_000);
    expect(judge('new', 3_000), 'units are left again').to.equal('pass');
    soldOut.update({ ...reading, version: 6, leaved_amount: 1, isEmpty: false, asOfMs: 3_200 });
    expect(judge('new', 3_300)).to.equal('pass');
  });

  it('apply to units that are restocked and ordered in the same batch', () => {
    const row = { leaved_amount: 0, held_amount: 0, epoch: 0, isOpen: true, isOnSale: true, isSellable: true };
    const ledgerOf = (leaved_amount: number, isSellable = true): Ledger =>
      new Ledger({
        flows: new Map([[flowKeyText({ sku_id: 'a', order_detail_id: 'd' }), null]]),
        stockRows: new Map([['a', { ...row, leaved_amount, isSellable }]]),
        returns: new Map(),
        adjustments: new Map([[adjustmentKeyText('a', 'more'), null]]),
        transfers: new Map(),
        totals: new Map(),
        records: new Map(),
      });
    const restock = { kind: 'adjust', sku_id: 'a', adjustment_id: 'more', delta: 2, reason: null } as const;
    const order = (quantity: number) =>
      ({ kind: 'deduct', order_id: 'o', lines: [{ sku_id: 'a', order_detail_id: 'd', quantity }] }) as const;
    const empty = ledgerOf(0);
    expect([decide(empty, restock).is, decide(empty, order(1)).is]).to.deep.equal(['applied', 'deferred']);
    expect(empty.writeSet().stockRows[0]).to.include({ bringsNew: true, leaved: 2 });
    const some = ledgerOf(1);
    expect([decide(some, restock).is, decide(some, order(1)).is]).to.deep.equal(['applied', 'deducted']);
    expect(some.writeSet().stockRows[0]).to.include({ leavedMin: 1, mustBeSellable: true });
    expect(decide(ledgerOf(5, false), order(1))).to.include({ is: 'refused', code: 'insufficient_stock' });
    expect(decide(ledgerOf(5, false), { ...restock, delta: -2 })).to.include({ is: 'applied' });
  });

  it('are off while the shard may sell new units at once, until gateways without the delay are gone', async () => {
    const shards = await ownShards({ count: 1, migrated: true });
    const gateway = await startTestGateway({ STOCKGATE_PRECHECK: 'memory' }, shards);
    try {
      await eventually(
        'the delay is turned on',
        5_000,
        async () =>
          (await shards.query(0, 'SELECT sellable_after_ms FROM precheck'))[0]?.['sellable_after_ms'] === 1_000,
      );
      const [row] = await shards.query(0, 'SELECT oldest_gateway FROM shard');
      // A new shard has shut out later gateways already.
      expect(row?.['oldest_gateway']).to.be.at.least(7);
      const sku_id = fresh('not ready');
      await sellOut(gateway, sku_id, 1);
      for (let attempt = 0; attempt < 20; attempt += 1) {
        expect((await gateway.deduct({ sku_id, order_detail_id: `new-${attempt}`, quantity: 1 })).status).to.equal(409);
        await sleep(25);
      }
      expect((await gateway.adminGet('/metrics')).text).not.to.match(
        /^stockgate_precheck_refused_total\{tier="memory"\} [1-9]/m,
      );
    } finally {
      await gateway.stop();
      await shards.drop();
    }
  });
});
