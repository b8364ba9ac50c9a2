import { expect } from 'chai';
import pino from 'pino';
import type { Logger } from 'pino';
import { eventually } from '../../support/run/eventually.ts';
import { fresh, startTestGateway } from '../../support/gateway/gateway.ts';
import type { TestGateway } from '../../support/gateway/gateway.ts';
import { ownShards } from '../../support/rows/ownShards.ts';
import type { OwnShards } from '../../support/rows/ownShards.ts';
import { heldFlow, oneHeld, returnOfNothing } from '../../support/rows/plantedDifferences.ts';
import { skuOn } from '../../support/engines/traffic.ts';

/** Shards 0 and 2 are on one server, and shard 1 is on another. */
const SHARDS = 3;
const WAIT_MS = 20_000;
const ROUND = { STOCKGATE_RECONCILIATION_ROUND_SECONDS: '1' };

interface Line {
  readonly msg: string;
  readonly kind?: string;
  readonly sku_id?: string;
  readonly shard?: string;
  readonly expected?: string;
  readonly actual?: string;
  readonly explanation?: string;
}

describe('continuous reconciliation', () => {
  let own: OwnShards;
  let gateway: TestGateway;
  const gateways: TestGateway[] = [];
  let lines: Line[] = [];
  const log = (): Logger => pino({ level: 'info' }, { write: (text: string) => lines.push(JSON.parse(text) as Line) });

  beforeEach(async () => {
    lines = [];
    own = await ownShards({ count: SHARDS, migrated: true });
    gateway = await start(ROUND);
  });
  afterEach(async () => {
    await Promise.all(gateways.splice(0).map((one) => one.stop()));
    await own.drop();
  });

  async function start(environment: NodeJS.ProcessEnv): Promise<TestGateway> {
    const started = await startTestGateway(environment, own, log());
    gateways.push(started);
    return started;
  }
  const sku = async (shard: number, name: string): Promise<string> => {
    const sku_id = skuOn(shard, fresh(name), SHARDS);
    await gateway.openSku(sku_id, 50);
    return sku_id;
  };
  const sell = async (order_id: string, ...sku_ids: readonly string[]): Promise<void> => {
    const named = sku_ids.map((sku_id) => ({ sku_id, order_detail_id: order_id, quantity: 2 }));
    await eventually(`${order_id} is sold`, WAIT_MS, async () => {
      const { status } = await gateway.post('/v1/deductions', { order_id, lines: named });
      return status === 200 || status === 201;
    });
  };
  const FOUND = 'stock differs from its journal';
  const GONE = 'stock no longer differs from its journal';
  const logged = (msg: string, sku_id: string): Line[] =>
    lines.filter((line) => line.msg === msg && line.sku_id === sku_id);
  const differencesOf = async (one: TestGateway): Promise<number> => {
    const { text } = await one.adminGet('/metrics');
    const values = [...text.matchAll(/^stockgate_continuous_reconciliation_differences\{[^}]*\} (\d+)$/gm)];
    return values.reduce((sum, [, value]) => sum + Number(value), 0);
  };
  const valueOf = async (one: TestGateway, name: string, shard: number): Promise<number> => {
    const { text } = await one.adminGet('/metrics');
    const pattern = new RegExp(`^stockgate_continuous_reconciliation_${name}\\{shard="own-${shard}"\\} (\\S+)$`, 'm');
    return Number(pattern.exec(text)?.[1] ?? NaN);
  };
  /** Waits until each shard was compared as a whole once more. */
  const nextRounds = async (one: TestGateway): Promise<void> => {
    for (let shard = 0; shard < SHARDS; shard += 1) {
      const before = await valueOf(one, 'round_timestamp_seconds', shard);
      await eventually(
        `a round on shard ${shard}`,
        WAIT_MS,
        async () => (await valueOf(one, 'round_timestamp_seconds', shard)) > before,
      );
    }
  };

  const PLANTED: readonly {
    readonly what: string;
    readonly kind: string;
    readonly plant: (sku_id: string) => string;
    readonly undo: (sku_id: string) => string;
  }[] = [
    {
      what: 'one unit more in a stock row',
      kind: 'leaved_amount',
      plant: (sku_id) => `UPDATE stock SET leaved_amount = leaved_amount + 1 WHERE sku_id = '${sku_id}'`,
      undo: (sku_id) => `UPDATE stock SET leaved_amount = leaved_amount - 1 WHERE sku_id = '${sku_id}'`,
    },
    {
      what: 'one unit more in a flow',
      kind: 'leaved_amount',
      plant: (sku_id) => `UPDATE flow SET quantity = quantity + 1 WHERE sku_id = '${sku_id}'`,
      undo: (sku_id) => `UPDATE flow SET quantity = quantity - 1 WHERE sku_id = '${sku_id}'`,
    },
    {
      what: 'one unit held without a flow',
      kind: 'held_amount',
      plant: oneHeld,
      undo: (sku_id) =>
        `UPDATE stock SET leaved_amount = leaved_amount + 1, held_amount = held_amount - 1 WHERE sku_id = '${sku_id}'`,
    },
    {
      what: 'a return of one unit that no flow counts',
      kind: 'returned',
      plant: (sku_id) => returnOfNothing(sku_id, 1),
      undo: (sku_id) => `DELETE FROM flow_return WHERE sku_id = '${sku_id}'`,
    },
    {
      what: 'a held flow without a hold row',
      kind: 'hold_row',
      plant: (sku_id) => heldFlow(sku_id, 'unheld'),
      undo: (sku_id) => `DELETE FROM flow WHERE sku_id = '${sku_id}' AND order_id = 'unheld'`,
    },
  ];

  for (const { what, kind, plant, undo } of PLANTED) {
    it(`finds ${what}, explains it once, and reports its end`, async () => {
      const [sku_id, beside] = [await sku(1, 'planted'), await sku(1, 'beside')];
      await sell('o', sku_id, beside);
      await nextRounds(gateway);
      expect(await differencesOf(gateway)).to.equal(0);
      await own.query(1, plant(sku_id));
      await eventually('it is found', WAIT_MS, () => logged(FOUND, sku_id).some((line) => line.kind === kind));
      await nextRounds(gateway);
      expect(await differencesOf(gateway)).to.be.above(0);
      await own.query(1, undo(sku_id));
      await eventually('it is gone', WAIT_MS, async () => (await differencesOf(gateway)) === 0);
      const ofKind = (msg: string): Line[] => logged(msg, sku_id).filter((line) => line.kind === kind);
      expect([ofKind(FOUND).length, ofKind(GONE).length]).to.deep.equal([1, 1]);
      const [found] = ofKind(FOUND);
      expect(found?.shard).to.equal('own-1');
      expect(Number(found?.actual) - Number(found?.expected)).to.be.oneOf([-1, 1]);
      expect(found?.explanation).to.be.a('string').and.not.equal('');
      expect(logged(FOUND, beside)).to.deep.equal([]);
    });
  }

  it('finds a line that the record of an order names and that has no flow', async () => {
    const [here, there] = [await sku(0, 'here'), await sku(1, 'there')];
    await sell('o', here, there);
    await own.query(1, `UPDATE stock SET leaved_amount = leaved_amount + 2 WHERE sku_id = '${there}'`);
    await own.query(1, `DELETE FROM flow WHERE sku_id = '${there}'`);
    await eventually('it is found', WAIT_MS, () => logged(FOUND, there).some((line) => line.kind === 'cart_line'));
  });

  it('finds units that were sold by an order without a record', async () => {
    const [here, there] = [await sku(0, 'here'), await sku(1, 'there')];
    await sell('o', here, there);
    await nextRounds(gateway);
    for (let shard = 0; shard < SHARDS; shard += 1) await own.query(shard, 'DELETE FROM order_record');
    for (const sku_id of [here, there])
      await eventually('it is found', WAIT_MS, () =>
        logged(FOUND, sku_id).some((line) => line.kind === 'aborted_line'),
      );
  });

  it('finds flows of a SKU that has no stock row', async () => {
    const sku_id = await sku(2, 'rowless');
    await sell('o', sku_id);
    await own.query(2, `DELETE FROM stock WHERE sku_id = '${sku_id}'`);
    await eventually('it is found', WAIT_MS, () => logged(FOUND, sku_id).length > 0);
  });

  it('reports no difference while orders over several shards, returns and cancellations run', async () => {
    const sku_ids = await Promise.all([0, 1, 2, 0].map((shard, place) => sku(shard, `busy-${place}`)));
    let number = 0;
    let isOver = false;
    const client = async (): Promise<void> => {
      while (!isOver) {
        const order_id = `o-${(number += 1)}`;
        const named = sku_ids.map((sku_id) => ({ sku_id, order_detail_id: order_id, quantity: 1 }));
        await gateway.post('/v1/deductions', { order_id, lines: named.slice(number % 3) });
        const [line] = named.slice(-1);
        if (line === undefined) continue;
        const keys = { order_id, lines: [{ sku_id: line.sku_id, order_detail_id: order_id }] };
        if (number % 2 === 0) await gateway.post('/v1/cancellations', keys);
        else await gateway.post('/v1/returns', { ...line, order_id, return_id: 'r' });
      }
    };
    const clients = Promise.all(Array.from({ length: 8 }, client));
    for (let round = 0; round < 3; round += 1) await nextRounds(gateway);
    isOver = true;
    await clients;
    expect(lines.filter(({ msg }) => msg === FOUND)).to.deep.equal([]);
    expect(await valueOf(gateway, 'skus_total', 0)).to.be.above(1);
  });

  it('is done by one gateway at a time, and another continues when it stops', async () => {
    const sku_id = await sku(0, 'taken');
    await nextRounds(gateway);
    const second = await start(ROUND);
    await nextRounds(gateway);
    for (let shard = 0; shard < SHARDS; shard += 1) expect(await valueOf(second, 'skus_total', shard)).to.equal(0);
    await own.query(0, `UPDATE stock SET leaved_amount = leaved_amount + 1 WHERE sku_id = '${sku_id}'`);
    await eventually('the first finds it', WAIT_MS, async () => (await differencesOf(gateway)) === 1);
    expect(await differencesOf(second)).to.equal(0);
    await gateway.stop();
    gateways.splice(gateways.indexOf(gateway), 1);
    await eventually('the second finds it', WAIT_MS, async () => (await differencesOf(second)) === 1);
  });

  it('is off with a round of 0 seconds', async () => {
    const quiet = await start({});
    const { text } = await quiet.adminGet('/metrics');
    expect(text).not.to.include('stockgate_continuous_reconciliation');
  });
});
