import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { ShardClock } from '../../../src/mysql/batching/shardClock.ts';
import { ageMsOf } from '../../../src/mysql/replicas/age.ts';
import { ReplicaReadings } from '../../../src/mysql/replicas/replicaReadings.ts';
import { startCluster } from '../../../scripts/cluster/cluster.ts';
import { eventually } from '../../support/run/eventually.ts';
import { fresh } from '../../support/gateway/gateway.ts';
import { heartbeatPromises } from '../../support/engines/heartbeatPromises.ts';
import { LAG_MS_MAX, replicaBench, REPLICA_BENCH_SHARDS, STATEMENT_MS } from '../../support/systems/replicaBench.ts';
import type { ReplicaBench } from '../../support/systems/replicaBench.ts';
import { queryServer, readerOptions, ReplicaChecks } from '../../support/systems/replicaChecks.ts';
import { skuOn } from '../../support/engines/traffic.ts';

const START_MS = 120_000;
/** A limit for steps that take milliseconds on an idle machine. */
const SOON_MS = 10_000;

const isForeign =
  process.env['STOCKGATE_MYSQL_SERVERS'] !== undefined || process.env['STOCKGATE_MYSQL_IMAGE'] !== undefined;
const isMariaDb = process.env['STOCKGATE_SERVER'] === 'mariadb';

if (isForeign || isMariaDb) {
  describe('replicas', () => {
    it('are made for our own MySQL servers only, not in containers and not for named servers', async () => {
      const asked = startCluster({ servers: 1, replicas: 1, dataDirectory: '.local', onProgress: () => undefined });
      expect(
        await asked.then(
          () => 'made',
          (error: Error) => error.message,
        ),
      ).to.match(/^replicas are (built for MySQL only|not made for servers named|not made in containers)/);
    });
  });
} else {
  describe('replicas', function () {
    this.timeout(60_000);
    let bench: ReplicaBench;
    let checks: ReplicaChecks;

    before(async function () {
      this.timeout(START_MS);
      bench = await replicaBench();
      checks = new ReplicaChecks(bench);
      bench.heartbeats.start();
      bench.readings.start();
      await checks.bothFollow(SOON_MS * 2);
    });
    after(() => bench?.stop());

    it('follow by GTIDs, and commits wait for them where semi-synchronous replication is on', async () => {
      for (const replica of [0, 1]) {
        const [status] = await bench.runOnReplica(replica, 'SHOW REPLICA STATUS');
        const running = [status?.Replica_IO_Running, status?.Replica_SQL_Running];
        expect([status?.Auto_Position, ...running]).to.deep.equal([1, 'Yes', 'Yes']);
        const [settings] = await bench.runOnReplica(
          replica,
          `SELECT @@GLOBAL.gtid_mode AS gtids, @@GLOBAL.super_read_only AS locked,
           @@GLOBAL.replica_preserve_commit_order AS in_order`,
        );
        expect({ ...settings }).to.deep.equal({ gtids: 'ON', locked: 1, in_order: 1 });
      }
      const [semiSync] = await bench.write("SHOW STATUS LIKE 'Rpl_semi_sync_source_status'");
      expect(semiSync?.Value).to.equal('ON');
    });

    it('reject writes', async () => {
      const refused = await bench.runOnReplica(0, 'UPDATE precheck SET heartbeat_at = NULL').then(
        () => null,
        (error: { errno: number }) => error.errno,
      );
      expect(refused).to.equal(1290);
    });

    it('show committed rows, and the age of what they show', async () => {
      const sku_id = await checks.open(7);
      await checks.shows(sku_id, 7);
      const askedMs = performance.now();
      const reading = await bench.look(sku_id);
      expect(reading?.asOfMs)
        .to.be.at.most(askedMs + 50)
        .and.to.be.above(askedMs - LAG_MS_MAX);
      expect({ ...reading, asOfMs: 0 }).to.deep.equal({
        asOfMs: 0,
        sku_id,
        leaved_amount: 7,
        isEmpty: false,
        version: 0,
        mode: 'single',
        rows: [{ shard: 0, sub_row: 0, leaved_amount: 7 }],
      });
      expect(bench.state().lagMs).to.be.within(0, LAG_MS_MAX);
    });

    it('report "empty" only where no units are left, held or in transit', async () => {
      const open = (): Promise<string> => checks.open(0);
      const [empty, held, sent, split, known] = [await open(), await open(), await open(), await open(), await open()];
      const unknown = skuOn(0, fresh('unknown'), REPLICA_BENCH_SHARDS);
      await bench.write(`UPDATE stock SET held_amount = 1 WHERE sku_id = '${held}'`);
      await bench.write(`INSERT INTO transfer VALUES ('${sent}', REPEAT('a', 16), 'out', 0, 1, 1, 0, 1, DEFAULT)`);
      await bench.write(
        `INSERT INTO hot_sku (sku_id, revision, state, epoch, last_epoch, places, earlier, shards, changed_at)
         VALUES ('${split}', 1, 'single', 1, 1, '[]', '[]', '[]', NOW(6))`,
      );
      const last = await checks.open(3);
      await checks.shows(last, 3);
      const seen = await bench.readings.read([empty, held, sent, split, unknown, empty], performance.now() + 3_000);
      expect(seen.map((reading) => reading?.isEmpty ?? null)).to.deep.equal([true, false, false, null, false, true]);
      expect([seen[4]?.leaved_amount, seen[4]?.version]).to.deep.equal([null, 0]);
      // A slot that another shard owns.
      const ofOther = skuOn(1, fresh('of another shard'), REPLICA_BENCH_SHARDS);
      const misrouted = new ReplicaReadings({ ...readerOptions(bench), shardOf: () => 0 });
      misrouted.start();
      try {
        await eventually(
          'it follows',
          SOON_MS,
          async () => (await misrouted.read([known], performance.now() + 1_000))[0] !== null,
        );
        expect(await misrouted.read([ofOther], performance.now() + 1_000)).to.deep.equal([null]);
      } finally {
        misrouted.stop();
      }
    });

    it('never report an old reading as young', async () => {
      const sku_id = await checks.open(0);
      const seen: { version: number; asOfMs: number }[] = [];
      let isOver = false;
      const reads = (async () => {
        while (!isOver) {
          const reading = await bench.look(sku_id);
          if (reading?.leaved_amount !== null && reading !== null) seen.push(reading);
          await sleep(5);
        }
      })();
      const answeredMs = await checks.commitVersions(sku_id);
      isOver = true;
      await reads;
      expect(new Set(seen.map(({ version }) => version)).size).to.be.above(10);
      // At the moment of each reading, the write of the next version was not answered yet.
      expect(seen.filter(({ version, asOfMs }) => asOfMs > (answeredMs[version + 1] ?? Infinity))).to.deep.equal([]);
      await checks.bothFollow();
    });

    it('report a rising age when they stop, are then left out, and are used again later', async () => {
      const sku_id = await checks.open(1);
      await checks.shows(sku_id, 1);
      for (const replica of [0, 1]) await bench.runOnReplica(replica, 'STOP REPLICA SQL_THREAD');
      const ages: number[] = [];
      await eventually('they are left out', SOON_MS, async () => {
        const reading = await bench.look(sku_id);
        if (reading !== null) ages.push(performance.now() - reading.asOfMs);
        return reading === null;
      });
      expect(Math.max(...ages)).to.be.within(LAG_MS_MAX / 2, LAG_MS_MAX + 3_000);
      expect([checks.stateOf(0), checks.stateOf(1), bench.state().lagMs]).to.deep.equal(['lagging', 'lagging', null]);
      await checks.restart();
      await checks.shows(sku_id, 1);
    });

    it('are read by their age: one that lags is skipped', async () => {
      const sku_id = await checks.open(1);
      await checks.shows(sku_id, 1);
      await bench.runOnReplica(0, 'STOP REPLICA SQL_THREAD');
      await bench.write(`UPDATE stock SET leaved_amount = 2 WHERE sku_id = '${sku_id}'`);
      await checks.shows(sku_id, 2);
      expect(checks.stateOf(0), 'skipped before it is left out').to.equal('following');
      for (let times = 0; times < 20; times += 1) {
        expect((await bench.look(sku_id))?.leaved_amount).to.equal(2);
        await sleep(20);
      }
      await eventually('one lags', SOON_MS, () => checks.stateOf(0) === 'lagging' && checks.stateOf(1) === 'following');
      await checks.restart();
    });

    it('are skipped in time when frozen, and give no reading when all are frozen', async () => {
      const sku_id = await checks.open(4);
      await checks.shows(sku_id, 4);
      const timed = async (): Promise<number> => {
        const startMs = performance.now();
        await bench.look(sku_id).catch(() => null);
        return performance.now() - startMs;
      };
      bench.replicas[0]?.signal('SIGSTOP');
      try {
        for (let times = 0; times < 10; times += 1) expect(await timed()).to.be.below(2 * STATEMENT_MS + 700);
        await eventually('it is silent', SOON_MS, () => checks.stateOf(0) === 'silent');
        await checks.shows(sku_id, 4);
        bench.replicas[1]?.signal('SIGSTOP');
        for (let times = 0; times < 5; times += 1) expect(await timed()).to.be.below(2 * STATEMENT_MS + 700);
        await checks.bothBecome('silent');
        expect([await bench.look(sku_id), bench.state().lagMs]).to.deep.equal([null, null]);
      } finally {
        for (const replica of bench.replicas) replica.signal('SIGCONT');
      }
      await checks.bothFollow();
    });

    it('give no reading when all are dead, and follow again after a restart', async () => {
      const sku_id = await checks.open(4);
      await checks.shows(sku_id, 4);
      for (const replica of bench.replicas) replica.signal('SIGKILL');
      await checks.bothBecome('silent');
      expect(await bench.look(sku_id)).to.equal(null);
      await bench.write(`UPDATE stock SET leaved_amount = 5 WHERE sku_id = '${sku_id}'`);
      await Promise.all(bench.replicas.map((replica) => replica.start()));
      await checks.bothFollow(SOON_MS * 2);
      await checks.shows(sku_id, 5);
    });

    it('are refused when they are writable', async () => {
      await bench.runOnReplica(0, 'SET GLOBAL super_read_only = OFF, GLOBAL read_only = OFF');
      await eventually('it is refused', SOON_MS, () => checks.stateOf(0) === 'refused');
      expect(bench.state().replicas[0]?.reason).to.contain('it is not read only');
      await bench.runOnReplica(0, 'SET GLOBAL super_read_only = ON');
      await checks.bothFollow();
    });

    it('follow again when kept data are started again on other ports', async () => {
      const options = {
        servers: 1,
        replicas: 1,
        dataDirectory: '.local',
        keep: `replicas-${process.pid}`,
        onProgress: () => undefined,
      };
      try {
        const first = await startCluster(options);
        await queryServer(first.servers[0], 'CREATE DATABASE one');
        await first.stop();
        const second = await startCluster(options);
        await queryServer(second.servers[0], 'CREATE DATABASE two');
        const replica = second.servers[0]?.replicas[0];
        for (const name of ['one', 'two']) {
          await eventually(
            `${name} is there`,
            SOON_MS,
            async () => (await queryServer(replica, `SHOW DATABASES LIKE '${name}'`)).length === 1,
          );
        }
        await second.stop();
      } finally {
        rmSync(join('.local', 'kept', options.keep), { recursive: true, force: true });
      }
    });

    describe('and the clock', () => {
      it('give no reading where the clock of the primary was never read', async () => {
        const options = readerOptions(bench);
        const withoutClock = new ReplicaReadings({
          ...options,
          shards: options.shards.map((shard) => ({ ...shard, clock: new ShardClock() })),
        });
        withoutClock.start();
        try {
          await eventually('it was read', SOON_MS, () => withoutClock.state()[0]?.replicas[0]?.state === 'unclear');
          expect(await withoutClock.read([await checks.open(0)], performance.now() + 1_000)).to.deep.equal([null]);
        } finally {
          withoutClock.stop();
        }
      });

      it('give no reading while a heartbeat lies in the future, until the next heartbeat', async () => {
        await bench.heartbeats.stop();
        const sku_id = await checks.open(1);
        await bench.write('UPDATE precheck SET heartbeat_at = SYSDATE(6) + INTERVAL 100 SECOND');
        await checks.bothBecome('unclear');
        expect(await bench.look(sku_id)).to.equal(null);
        bench.heartbeats.start();
        await checks.shows(sku_id, 1);
      });

      it('give no reading until a clock that was set back has reached its earlier time', () => {
        const clock = new ShardClock();
        const nowMs = performance.now();
        const at = { askedMs: nowMs, receivedMs: nowMs };
        clock.storeReading(1_000_000, nowMs);
        expect(ageMsOf(999_900, at, clock, LAG_MS_MAX)).to.be.within(0, 150);
        clock.storeReading(998_000, nowMs);
        expect(ageMsOf(997_900, at, clock, LAG_MS_MAX)).to.equal(null);
        const later = nowMs + 2_000 + LAG_MS_MAX + 500;
        expect(ageMsOf(999_000, { askedMs: later, receivedMs: later }, clock, LAG_MS_MAX)).to.be.a('number');
        expect([clock.latestMs(nowMs + 61_000), new ShardClock().latestMs(nowMs)]).to.deep.equal([null, null]);
      });
    });

    describe('and the heartbeat', () =>
      heartbeatPromises(
        () => bench,
        () => checks.restart(),
      ));
  });
}
