import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { importTypeScript } from '../../../src/importTypeScript.ts';
import { GATEWAY_LEVEL } from '../../../src/mysql/migrations/schemaLevel.ts';
import { readBooks } from '../../../scripts/support/books.ts';
import { startGatewayProcess } from '../../../scripts/support/gatewayProcess.ts';
import { httpClient } from '../../../scripts/support/httpClient.ts';
import type { Answer, HttpClient } from '../../../scripts/support/httpClient.ts';
import { projectPath } from '../../../src/projectPath.ts';
import { runFile, startCommand } from '../../support/run/command.ts';
import { eventually } from '../../support/run/eventually.ts';
import { startMixedCustomers } from '../../support/systems/mixedCustomers.ts';
import type { CalledGateway, MixedCustomers } from '../../support/systems/mixedCustomers.ts';
import { ownShards } from '../../support/rows/ownShards.ts';
import type { OwnShards } from '../../support/rows/ownShards.ts';
import { countUndecided } from '../../support/rows/tables.ts';
import { skuOn } from '../../support/engines/traffic.ts';
import { versionBefore } from '../../support/systems/versionBefore.ts';
import type { EarlierVersion } from '../../support/systems/versionBefore.ts';

const LONG = process.env['STOCKGATE_TEST_LONG'] === '1';
const SHARDS = 4;
const CUSTOMERS = 6;
const TOGETHER_MS = LONG ? 60_000 : 3_000;
const APART_MS = LONG ? 10_000 : 1_000;
const UNITS = 1_000_000;
const TIMEOUT_MS = 300_000;
/** The share of all answers; on an idle machine it is 0. */
const OVERLOADED_SHARE_MAX = 0.03;
const FREE_PORTS = { PORT: '0', ADMIN_PORT: '0', STOCKGATE_LOG_LEVEL: 'silent' };

/** A gateway in a process of its own, of either version. */
interface Running {
  readonly publicUrl: string;
  readonly adminUrl: string;
  /** @returns the exit code */
  stop(): Promise<number | null>;
}

describe('a rolling upgrade from the version before the newest migration', function () {
  this.timeout(TIMEOUT_MS);
  let earlier: EarlierVersion;
  let own: OwnShards;
  let client: HttpClient;
  const toStop: (() => Promise<unknown>)[] = [];
  const newest = readdirSync(projectPath('migrations')).sort().at(-1) ?? '';
  const newestLevel = Number.parseInt(newest, 10);

  before(async function () {
    const found = await versionBefore();
    const { oldestGateway } = (await importTypeScript(projectPath(`migrations/${newest}`))) as {
      oldestGateway: number;
    };
    const skip = (reason: string): never => {
      console.log(`      not tested: ${reason}`);
      return this.skip();
    };
    if (typeof found === 'string') return skip(found);
    earlier = found;
    if (oldestGateway > found.gatewayLevel)
      skip(`${newest} shuts the version before out, so they never serve together`);
    if (found.gatewayLevel === GATEWAY_LEVEL)
      skip(`gateways do not need ${newest}, so the version before is of the same level`);
    console.log(`      from ${earlier.commit.slice(0, 7)}, level ${earlier.level}, to level ${newestLevel}`);
  });
  after(() => earlier?.remove());
  beforeEach(async () => {
    client = httpClient(64);
    own = await ownShards({ count: SHARDS, migrated: false });
  });
  afterEach(async () => {
    for (const stop of toStop.splice(0).reverse()) await stop();
    client.close();
    await own.drop();
  });

  const running = (gateway: Running): Running => {
    toStop.push(() => gateway.stop());
    return gateway;
  };
  const start = async (entry?: string): Promise<Running> => {
    const gateway = await startGatewayProcess({ ...own.environment, ...FREE_PORTS }, entry);
    return running({ ...gateway, stop: async () => (await gateway.stop()).code });
  };
  const startOld = (): Promise<Running> => start(relative(projectPath('.'), join(earlier.path, 'src/main.ts')));
  const startNew = (): Promise<Running> => start();
  const migrateOld = async (): Promise<void> => {
    const words = ['--import', 'tsx', earlier.migrate, 'up', '--create-schemas'];
    const { code, stderr } = await startCommand(process.execPath, words, own.environment).finished;
    expect(code, stderr).to.equal(0);
  };
  const levels = (): Promise<unknown[]> =>
    Promise.all(
      Array.from(
        { length: SHARDS },
        async (_, shard) => (await own.query(shard, 'SELECT schema_level FROM shard'))[0]?.['schema_level'] as unknown,
      ),
    );

  const put = (gateway: Running, path: string, body: unknown): Promise<Answer> =>
    client.call({ method: 'PUT', url: gateway.adminUrl + path, body });
  const deduct = ({ publicUrl }: Running, sku_id: string, order_id: string): Promise<Answer> =>
    client.call({
      method: 'POST',
      url: `${publicUrl}/v1/deductions`,
      body: { order_id, lines: [{ order_detail_id: order_id, sku_id, quantity: 1 }] },
    });
  const shardsOf = async ({ adminUrl }: Running): Promise<{ state: string; reason: string | null }[]> =>
    (await client.call({ method: 'GET', url: `${adminUrl}/v1/shards` })).body.shards;
  const serves = async (gateway: Running): Promise<boolean> =>
    (await shardsOf(gateway)).every(({ state }) => state === 'serving');
  const expectRefused = async (gateway: Running, reason: string): Promise<void> => {
    // On a busy machine the first attempt may have timed out.
    await eventually('every shard is refused', 10_000, async () =>
      (await shardsOf(gateway)).every(({ state }) => state === 'refused'),
    );
    for (const shard of await shardsOf(gateway)) expect(shard.reason).to.contain(reason);
    expect((await client.call({ method: 'GET', url: `${gateway.adminUrl}/readyz` })).status).to.equal(503);
  };
  const sku = (shard: number): string => skuOn(shard, 'upgraded', SHARDS);

  it('sells, returns and cancels through both versions while the schema grows, until the old ones drain', async () => {
    await migrateOld();
    expect(await levels()).to.deep.equal(Array.from({ length: SHARDS }, () => earlier.level));
    const old = [await startOld(), await startOld()] as const;
    const plain = [0, 1, 2, 3].map(sku);
    const hot = skuOn(0, 'hot', SHARDS);
    for (const sku_id of [...plain, hot])
      expect((await put(old[0], `/v1/skus/${sku_id}`, { leaved_amount: UNITS })).status).to.equal(201);
    const split = async (gateway: Running, sub_rows: number): Promise<number> => {
      for (;;) {
        const { status } = await put(gateway, `/v1/skus/${hot}/hot`, { sub_rows });
        if (status !== 503) return status;
      }
    };
    expect(await split(old[0], 3)).to.equal(200);

    const frozenPort = (version: CalledGateway['version'], { publicUrl }: Running): CalledGateway => ({
      version,
      publicUrl,
      isLeaving: false,
    });
    const doors = { old: old.map((gateway) => frozenPort('old', gateway)), new: [] as CalledGateway[] };
    const customers = startMixedCustomers({
      client,
      gateways: doors.old,
      skus: { plain, hot },
      customers: CUSTOMERS,
      phase: 'old alone',
    });
    toStop.push(() => customers.stop());
    await sleep(APART_MS);

    // Gateways that start before the migration report that it is needed, and serve as soon as it is done.
    const recent = [await startNew(), await startNew()] as const;
    const needed =
      `its schema is at ${earlier.level}, this gateway needs ${GATEWAY_LEVEL}: ` + 'run `npm run migrate -- up`';
    for (const gateway of recent) await expectRefused(gateway, needed);
    expect((await deduct(recent[0], sku(0), 'too early')).body.code).to.equal('overloaded');

    customers.phase = 'growing';
    const up = await runFile('src/commands/migrate.ts', ['up'], own.environment);
    expect(up.code, up.stderr).to.equal(0);
    expect(await levels()).to.deep.equal(Array.from({ length: SHARDS }, () => newestLevel));
    for (const gateway of recent) await eventually('a new gateway serves', 10_000, () => serves(gateway));
    for (const gateway of old) expect(await serves(gateway)).to.equal(true);

    doors.new = recent.map((gateway) => frozenPort('new', gateway));
    customers.gateways.push(...doors.new);
    customers.phase = 'together';
    for (const [turn, gateway] of [recent[0], old[1], recent[1], old[0]].entries()) {
      await sleep(TOGETHER_MS / 4);
      expect(await split(gateway, 4 - (turn % 3))).to.equal(200);
    }

    customers.phase = 'draining';
    for (const [number, gateway] of old.entries()) {
      const leaving = doors.old[number] ?? expect.fail('a door each');
      leaving.isLeaving = true;
      expect(await gateway.stop()).to.equal(0);
      customers.gateways.splice(customers.gateways.indexOf(leaving), 1);
    }
    // By the end of this pause all requests to old gateways are answered.
    await sleep(APART_MS / 2);
    customers.phase = 'new alone';
    await sleep(APART_MS);
    await customers.stop();
    expectAnswers(customers);
    await expectStored(customers, recent[1], [...plain, hot]);
  });

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
    ])
      expect(counts.get(sold) ?? 0, sold).to.be.above(0);
  };

  /** Everything is stored as it was answered, by new gateways, by the rows and by a reconciliation. */
  const expectStored = async (
    { placed, gone }: MixedCustomers,
    gateway: Running,
    sku_ids: readonly string[],
  ): Promise<void> => {
    const shards = await own.load();
    const again = async ({ order_id, lines, isCancelled }: MixedCustomers['placed'][number]): Promise<void> => {
      const { status, body, text } = await client.call({
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
      const { body } = await client.call({ method: 'GET', url: `${gateway.publicUrl}/v1/skus/${sku_id}` });
      expect(body.leaved_amount, sku_id).to.equal(UNITS - (gone.get(sku_id) ?? 0));
    }
    await eventually('nothing is undecided', 10_000, async () => (await countUndecided(shards)) === 0);
    expect(
      (await readBooks({ shards, initialShards: SHARDS })).flatMap(({ differences }) => differences),
    ).to.deep.equal([]);
    const reconciled = await runFile('src/commands/reconcile.ts', [], own.environment);
    expect(reconciled.code, reconciled.stdout + reconciled.stderr).to.equal(0);
  };

  it('excludes gateways that the schema shuts out: they report it, stop selling, and change nothing', async () => {
    const { code, stderr } = await runFile('src/commands/migrate.ts', ['up', '--create-schemas'], own.environment);
    expect(code, stderr).to.equal(0);
    const [old, recent] = [await startOld(), await startNew()];
    expect((await put(old, `/v1/skus/${sku(0)}`, { leaved_amount: 10 })).status).to.equal(201);
    expect((await deduct(old, sku(0), 'before')).status).to.equal(201);

    for (let shard = 0; shard < SHARDS; shard += 1)
      await own.query(shard, `UPDATE shard SET oldest_gateway = ${GATEWAY_LEVEL}`);
    const reason = `its schema serves gateways from level ${GATEWAY_LEVEL} on, this one is ${earlier.gatewayLevel}`;
    for (const gateway of [old, await startOld()]) {
      await expectRefused(gateway, reason);
      expect((await deduct(gateway, sku(0), 'shut out')).body.code).to.equal('overloaded');
    }
    expect(await own.query(0, 'SELECT leaved_amount FROM stock')).to.deep.equal([{ leaved_amount: 9 }]);
    expect((await deduct(recent, sku(0), 'before')).status).to.equal(200);
    expect((await deduct(recent, sku(0), 'shut out')).status).to.equal(201);
  });
});
