import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { Shard } from '../../../src/mysql/shard.ts';
import { runFile, startFile } from '../../support/run/command.ts';
import { eventually } from '../../support/run/eventually.ts';
import { fresh, startTestGateway } from '../../support/gateway/gateway.ts';
import type { TestGateway } from '../../support/gateway/gateway.ts';
import type { OwnShards } from '../../support/rows/ownShards.ts';
import { allServe, precheckedShards, refusedEarly, sellOut } from '../../support/systems/precheckGateway.ts';
import { startWireProxy } from '../../support/wire/wireProxy.ts';
import type { WireProxy } from '../../support/wire/wireProxy.ts';

const SHARDS = 2;
const DELAY_MS = 1_000;

describe('npm run migrate -- precheck-off', () => {
  let shards: OwnShards;
  const gateways: TestGateway[] = [];

  beforeEach(async () => {
    shards = await precheckedShards(SHARDS);
  });
  afterEach(async () => {
    await Promise.all(gateways.splice(0).map((gateway) => gateway.stop()));
    await shards.drop();
  });

  const start = async (environment: NodeJS.ProcessEnv): Promise<TestGateway> => {
    const gateway = await startTestGateway(environment, shards);
    gateways.push(gateway);
    await allServe(gateway);
    return gateway;
  };
  const delays = async (): Promise<{ ms: number; isArmed: boolean }[]> =>
    Promise.all(
      Array.from({ length: SHARDS }, async (_, shard) => {
        const [row] = await shards.query(shard, 'SELECT sellable_after_ms, ready_at FROM precheck');
        return { ms: Number(row?.['sellable_after_ms']), isArmed: row?.['ready_at'] !== null };
      }),
    );
  const off = (...more: string[]) => runFile('src/commands/migrate.ts', ['precheck-off', ...more], shards.environment);
  /** Restocks a SKU that is sold out. @returns whether its units can be sold at once */
  const sellsAtOnce = async (gateway: TestGateway): Promise<boolean> => {
    const sku_id = fresh('restocked');
    await sellOut(gateway, sku_id, 1);
    const restock = { adjustment_id: 'a', delta: 2 };
    expect((await gateway.adminPost(`/v1/skus/${sku_id}/adjustments`, restock)).status).to.equal(201);
    const { status, text } = await gateway.deduct({ sku_id, order_detail_id: 'at once', quantity: 1 });
    expect(status, text).to.be.oneOf([201, 409]);
    return status === 201;
  };

  it('is rejected while a gateway with tiers serves the shards, and leaves the delay on', async () => {
    const gateway = await start({ STOCKGATE_PRECHECK: 'memory' });
    const sku_id = fresh('sold out');
    await sellOut(gateway, sku_id, 2);
    await refusedEarly(gateway, sku_id);
    const { code, stdout, stderr } = await off('--yes');
    expect(code, stdout).to.equal(1);
    expect(stderr).to.include('STOCKGATE_PRECHECK').and.to.include('own-0');
    expect((await delays()).map(({ ms }) => ms)).to.deep.equal([DELAY_MS, DELAY_MS]);
    await eventually('every shard is armed', 10_000, async () => (await delays()).every(({ isArmed }) => isArmed));
  });

  it('only shows the delay without --yes, keeps it to the end of the wait, and can be repeated', async function () {
    this.timeout(120_000);
    const gateway = await start({});
    const before = await delays();
    const shown = await off();
    expect([shown.code, shown.stderr]).to.deep.equal([0, '']);
    expect(shown.stdout).to.include('own-1').and.to.include('1000 ms').and.to.include('--yes');
    expect(await delays()).to.deep.equal(before);
    const running = await startFile('src/commands/migrate.ts', ['precheck-off', '--yes'], shards.environment);
    await eventually('early refusals are ended', 20_000, async () => (await delays()).every(({ isArmed }) => !isArmed));
    await sleep(2_000);
    // A gateway that was frozen in the meantime may still refuse by its last reading.
    expect(await sellsAtOnce(gateway), 'sold at once while gateways may refuse early').to.equal(false);
    const { code, stdout, stderr } = await running.finished;
    expect(code, stdout + stderr).to.equal(0);
    expect((await delays()).map(({ ms }) => ms)).to.deep.equal([0, 0]);
    expect(await sellsAtOnce(gateway)).to.equal(true);
    expect((await off('--yes')).code).to.equal(0);
    // A gateway with tiers begins as on a new shard: it turns the delay on, and refuses nothing early until all
    // gateways have read that.
    const later = await start({ STOCKGATE_PRECHECK: 'memory' });
    await eventually('the delay is on again', 10_000, async () => (await delays()).every(({ ms }) => ms === DELAY_MS));
    expect(await sellsAtOnce(later)).to.equal(false);
  });
});

describe('a gateway with tiers that cannot inspect a shard', () => {
  let shards: OwnShards;
  let proxy: WireProxy;
  let shard: Shard;

  before(async () => {
    shards = await precheckedShards(1);
    const [config] = await shards.load();
    if (config === undefined) throw new Error('there is no shard');
    proxy = await startWireProxy(config.address);
    const address = { ...config.address, host: '127.0.0.1', port: proxy.port };
    shard = new Shard({
      ...{ name: 'own', shard: 0, initialShards: 1, address, isPrechecked: true, onChange: () => undefined },
      ...{ connections_max: 2, waiting_max: 10, statementMs: 1_000, relaxedAllowed: false },
    });
  });
  after(async () => {
    shard.pool.close();
    await proxy.close();
    await shards.drop();
  });

  it('stops refusing early on it, because its delay may be turned off', async () => {
    await eventually('it may refuse early', 10_000, () => shard.precheck.isReady);
    await sleep(2_000);
    expect(shard.precheck.isReady, 'inspections go on').to.equal(true);
    proxy.setSilent(true);
    await eventually('it may not refuse early', 20_000, () => !shard.precheck.isReady);
    proxy.setSilent(false);
    await eventually('it may refuse early again', 20_000, () => shard.precheck.isReady);
  });
});
