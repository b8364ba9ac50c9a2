import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { GATEWAY_LEVEL, RECORDS_ONLY_LEVEL } from '../../../src/mysql/migrations/schemaLevel.ts';
import { readBooks } from '../../../scripts/support/books.ts';
import type { GatewayProcess } from '../../../scripts/support/gatewayProcess.ts';
import { runFile } from '../../support/run/command.ts';
import { eventually } from '../../support/run/eventually.ts';
import { startMixedCustomers } from '../../support/systems/mixedCustomers.ts';
import type { CalledGateway, MixedCustomers } from '../../support/systems/mixedCustomers.ts';
import { killWithOpenCart, skusOnTwoServers, usedProtocols } from '../../support/systems/orderProtocols.ts';
import { countUndecided } from '../../support/rows/tables.ts';
import { skuOn } from '../../support/engines/traffic.ts';
import { TwoVersions, upgradeSteps } from '../../support/systems/twoVersions.ts';
import type { UpgradeSteps } from '../../support/systems/twoVersions.ts';
import { versionBefore } from '../../support/systems/versionBefore.ts';
import type { EarlierVersion } from '../../support/systems/versionBefore.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
/** The long form also begins at the last version with eight migrations. */
const VERSIONS = [null, ...(LONG ? ['4d807d3'] : [])];
const SHARDS = 4;
const CUSTOMERS = 6;
const TOGETHER_MS = LONG ? 60_000 : 3_000;
const APART_MS = LONG ? 10_000 : 1_000;
const UNITS = 1_000_000;
const TIMEOUT_MS = 300_000;
/** The share of all answers; on an idle machine it is 0. */
const OVERLOADED_SHARE_MAX = 0.03;
const OPEN_CART = 'left-open';

for (const from of VERSIONS)
  describe(`a rolling upgrade from ${from ?? 'the version before the newest migration'}`, function () {
    this.timeout(TIMEOUT_MS);
    let earlier: EarlierVersion;
    let steps: UpgradeSteps;
    let system: TwoVersions;

    before(async function () {
      const found = await versionBefore(from);
      const skip = (reason: string): never => {
        console.log(`      not tested: ${reason}`);
        return this.skip();
      };
      if (typeof found === 'string') return skip(found);
      earlier = found;
      steps = await upgradeSteps(found.level);
      if (steps.oldestGateway > found.gatewayLevel)
        skip(`level ${steps.expandedLevel} shuts the version before out, so they never serve together`);
      if (found.gatewayLevel === GATEWAY_LEVEL)
        skip('gateways do not need the newest migration, so the version before is of the same level');
      const { expandedLevel, newestLevel } = steps;
      console.log(
        `      from ${found.commit.slice(0, 7)}, level ${found.level}, to level ${expandedLevel}, then ${newestLevel}`,
      );
    });
    after(() => earlier?.remove());
    beforeEach(async () => {
      system = await TwoVersions.create(earlier, SHARDS);
    });
    afterEach(() => system.end());

    const everyShard = (level: number): number[] => Array.from({ length: SHARDS }, () => level);
    const sku = (shard: number): string => skuOn(shard, 'upgraded', SHARDS);
    const shutOutReason = (): string =>
      `its schema serves gateways from level ${steps.newestOldestGateway} on, this one is ${earlier.gatewayLevel}`;

    it('sells, returns and cancels while the schema grows beside old gateways, and shuts them out', async () => {
      await system.createShards();
      expect(await system.levels()).to.deep.equal(everyShard(earlier.level));
      const old = [await system.startOld(), await system.startOld()] as const;
      const plain = [0, 1, 2, 3].map(sku);
      const hot = skuOn(0, 'hot', SHARDS);
      const kept = skusOnTwoServers('kept', SHARDS);
      for (const sku_id of [...plain, hot, ...kept.map((one) => one.sku_id)])
        expect((await system.put(old[0], `/v1/skus/${sku_id}`, { leaved_amount: UNITS })).status).to.equal(201);
      const split = async (gateway: GatewayProcess, sub_rows: number): Promise<number> => {
        for (;;) {
          const { status } = await system.put(gateway, `/v1/skus/${hot}/hot`, { sub_rows });
          if (status !== 503) return status;
        }
      };
      expect(await split(old[0], 3)).to.equal(200);

      const called = (version: CalledGateway['version'], { publicUrl }: GatewayProcess): CalledGateway => ({
        version,
        publicUrl,
        isLeaving: false,
      });
      const oldDoors = old.map((gateway) => called('old', gateway));
      const customers = startMixedCustomers({
        client: system.client,
        gateways: oldDoors,
        skus: { plain, hot },
        customers: CUSTOMERS,
        phase: 'old alone',
      });
      try {
        await sleep(APART_MS);

        // Gateways that start before the migration report that it is needed, and serve as soon as it is done.
        const recent = [await system.startNew(), await system.startNew()] as const;
        const needed =
          `its schema is at ${earlier.level}, this gateway needs ${GATEWAY_LEVEL}: ` + 'run `npm run migrate -- up`';
        for (const gateway of recent) await system.expectRefused(gateway, needed);
        expect((await system.deduct(recent[0], 'too early', sku(0))).body.code).to.equal('overloaded');

        customers.phase = 'growing';
        await system.migrate('up');
        expect(await system.levels()).to.deep.equal(everyShard(steps.expandedLevel));
        for (const gateway of recent) await eventually('a new gateway serves', 10_000, () => system.serves(gateway));
        for (const gateway of old) expect(await system.serves(gateway)).to.equal(true);

        customers.gateways.push(...recent.map((gateway) => called('new', gateway)));
        customers.phase = 'together';
        for (const [turn, gateway] of [recent[0], old[1], recent[1], old[0]].entries()) {
          await sleep(TOGETHER_MS / 4);
          expect(await split(gateway, 4 - (turn % 3))).to.equal(200);
          await expectOldProtocol();
        }

        customers.phase = 'draining';
        const leave = (number: number): void => {
          const leaving = oldDoors[number] ?? expect.fail('a door each');
          leaving.isLeaving = true;
          customers.gateways.splice(customers.gateways.indexOf(leaving), 1);
        };
        leave(0);
        expect((await old[0].stop()).code).to.equal(0);
        leave(1);
        await killWithOpenCart(system, old[1], OPEN_CART, kept);
        // By the end of this pause all requests to old gateways are answered.
        await sleep(APART_MS / 2);
        customers.phase = 'new alone';
        await sleep(APART_MS);
        await expectOldProtocol();

        if (steps.newestLevel > steps.expandedLevel) await shutOut(customers, recent[0]);
        await eventually('nothing of the killed gateway is held', 15_000, async () => (await heldOf(OPEN_CART)) === 0);
        // Its order was not decided, so the same ids are sold now, once.
        expect((await system.deduct(recent[0], OPEN_CART, ...kept.map((one) => one.sku_id))).status).to.equal(201);
        expect((await system.deduct(recent[1], OPEN_CART, ...kept.map((one) => one.sku_id))).status).to.equal(200);
        await customers.stop();
        expectAnswers(customers);
        await expectStored(customers, recent[1], [...plain, hot]);
        for (const { sku_id } of kept) expect(await leavedOf(recent[0], sku_id), sku_id).to.equal(UNITS - 1);
      } finally {
        await customers.stop();
      }
    });

    /** While older gateways may run, orders over several servers are carts with attempts at every gateway. */
    const expectOldProtocol = async (): Promise<void> => {
      if (steps.expandedLevel >= RECORDS_ONLY_LEVEL) return;
      const used = await usedProtocols(system);
      expect(used).to.include({ overServers: 0, held: 0, aborted: 0 });
      expect(used.carts).to.be.above(0);
    };

    /** Applies the migrations that wait, beside old gateways that were forgotten: one runs, and one is frozen. */
    const shutOut = async (customers: MixedCustomers, gateway: GatewayProcess): Promise<void> => {
      const before = await usedProtocols(system);
      expect(before.onOneServer).to.be.above(0);
      const forgotten = [await system.startOld(), await system.startOld()] as const;
      for (const one of forgotten) await eventually('an old gateway serves', 10_000, () => system.serves(one));
      forgotten[1].signal('SIGSTOP');
      customers.phase = 'shutting out';
      await system.migrate('up', '--shut-out-older');
      expect(await system.levels()).to.deep.equal(everyShard(steps.newestLevel));
      customers.phase = 'old ones shut out';
      forgotten[1].signal('SIGCONT');
      for (const one of [...forgotten, await system.startOld()]) {
        await system.expectRefused(one, shutOutReason());
        expect((await system.deduct(one, 'shut out', sku(0), sku(1))).body.code).to.equal('overloaded');
      }
      await eventually('gateways have noticed', 5_000, async () => (await usedProtocols(system)).overServers > 0);
      await sleep(APART_MS);
      const { carts } = await usedProtocols(system);
      await sleep(APART_MS);
      const after = await usedProtocols(system);
      expect(after.overServers).to.be.above(before.overServers);
      // The old protocol is used no more.
      expect(after.carts).to.equal(carts);
      expect((await system.deduct(gateway, 'shut out', sku(0), sku(1))).status).to.equal(201);
      for (const sku_id of [sku(0), sku(1)]) customers.move(sku_id, 1);
      console.log(`      transactions over servers: ${after.overServers}, carts before them: ${carts}`);
    };

    const heldOf = async (order_id: string): Promise<number> =>
      (
        await system.onEachShard(
          `SELECT (SELECT COUNT(*) FROM cart_hold WHERE order_id = '${order_id}')
                + (SELECT COUNT(*) FROM cart WHERE order_id = '${order_id}' AND state = 'open') AS number`,
          ([row]) => Number(row?.['number']),
        )
      ).reduce((sum, number) => sum + number);
    const leavedOf = async ({ publicUrl }: GatewayProcess, sku_id: string): Promise<number> =>
      (await system.client.call({ method: 'GET', url: `${publicUrl}/v1/skus/${sku_id}` })).body.leaved_amount;

    /** All answers were right. Requests were rejected only by a gateway that drained, or rarely as `overloaded`. */
    const expectAnswers = ({ faults, counts }: MixedCustomers): void => {
      const table = [...counts]
        .sort()
        .map(([what, times]) => `${what}: ${times}`)
        .join(', ');
      console.log(`      ${table}`);
      expect(faults).to.deep.equal([]);
      const others = [...counts].filter(([what]) => !what.startsWith('draining '));
      expect(
        others.filter(([what]) => /(no answer|503 (?!overloaded).*)$/.test(what)),
        table,
      ).to.deep.equal([]);
      const sum = (of: typeof others): number => of.reduce((total, [, times]) => total + times, 0);
      expect(sum(others.filter(([what]) => what.endsWith('503 overloaded'))) / sum(others), table).to.be.at.most(
        OVERLOADED_SHARE_MAX,
      );
      for (const sold of [
        'old alone old 201',
        'growing old 201',
        'together old 201',
        'together new 201',
        'together old 200',
        'together new 200',
        'new alone new 201',
        ...(steps.newestLevel > steps.expandedLevel ? ['shutting out new 201', 'old ones shut out new 201'] : []),
      ])
        expect(counts.get(sold) ?? 0, sold).to.be.above(0);
    };

    /** Everything is stored as it was answered, by new gateways, by the rows and by a reconciliation. */
    const expectStored = async (
      { placed, gone }: MixedCustomers,
      gateway: GatewayProcess,
      sku_ids: readonly string[],
    ): Promise<void> => {
      const shards = await system.own.load();
      const again = async ({ order_id, lines, isCancelled }: MixedCustomers['placed'][number]): Promise<void> => {
        const { status, body, text } = await system.client.call({
          method: 'POST',
          url: `${gateway.publicUrl}/v1/deductions`,
          body: { order_id, lines },
        });
        expect([status, isCancelled ? body.code : body.replayed], text).to.deep.equal(
          isCancelled ? [409, 'cancelled'] : [200, true],
        );
      };
      for (let from = 0; from < placed.length; from += 32) await Promise.all(placed.slice(from, from + 32).map(again));
      for (const sku_id of sku_ids) {
        expect(await leavedOf(gateway, sku_id), sku_id).to.equal(UNITS - (gone.get(sku_id) ?? 0));
      }
      await eventually('nothing is undecided', 10_000, async () => (await countUndecided(shards)) === 0);
      expect(
        (await readBooks({ shards, initialShards: SHARDS })).flatMap(({ differences }) => differences),
      ).to.deep.equal([]);
      const reconciled = await runFile('src/commands/reconcile.ts', [], system.own.environment);
      expect(reconciled.code, reconciled.stdout + reconciled.stderr).to.equal(0);
    };

    it('excludes gateways that the schema shuts out: they report it, stop selling, and change nothing', async () => {
      await system.createShards();
      await system.migrate('up');
      const [old, recent] = [await system.startOld(), await system.startNew()];
      expect((await system.put(old, `/v1/skus/${sku(0)}`, { leaved_amount: 10 })).status).to.equal(201);
      expect((await system.deduct(old, 'before', sku(0))).status).to.equal(201);

      for (let shard = 0; shard < SHARDS; shard += 1)
        await system.own.query(shard, `UPDATE shard SET oldest_gateway = ${GATEWAY_LEVEL}`);
      const reason = `its schema serves gateways from level ${GATEWAY_LEVEL} on, this one is ${earlier.gatewayLevel}`;
      for (const gateway of [old, await system.startOld()]) {
        await system.expectRefused(gateway, reason);
        expect((await system.deduct(gateway, 'shut out', sku(0))).body.code).to.equal('overloaded');
      }
      expect(await system.own.query(0, 'SELECT leaved_amount FROM stock')).to.deep.equal([{ leaved_amount: 9 }]);
      expect((await system.deduct(recent, 'before', sku(0))).status).to.equal(200);
      expect((await system.deduct(recent, 'shut out', sku(0))).status).to.equal(201);
    });
  });
