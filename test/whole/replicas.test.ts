import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import mysql from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import { ShardClock } from '../../src/mysql/batching/shardClock.ts';
import { ageMsOf } from '../../src/mysql/replicas/age.ts';
import { ReplicaSights } from '../../src/mysql/replicas/replicaSights.ts';
import { startCluster } from '../../scripts/cluster/cluster.ts';
import type { DatabaseServer } from '../../scripts/cluster/contract.ts';
import { eventually } from '../support/eventually.ts';
import { fresh } from '../support/gateway.ts';
import { heartbeatPromises } from '../support/heartbeatPromises.ts';
import { LAG_MS_MAX, replicaBench, SHARDS, STATEMENT_MS } from '../support/replicaBench.ts';
import type { ReplicaBench } from '../support/replicaBench.ts';
import { skuOn } from '../support/traffic.ts';

const START_MS = 120_000;
/** For what takes milliseconds on a machine that has nothing else to do. */
const SOON_MS = 10_000;

const isForeign =
  process.env['STOCKGATE_MYSQL_SERVERS'] !== undefined || process.env['STOCKGATE_MYSQL_IMAGE'] !== undefined;
const isMariaDb = process.env['STOCKGATE_SERVER'] === 'mariadb';

if (isForeign || isMariaDb) {
  describe('replicas', () => {
    it("are MySQL's, and none are made in containers or for servers of somebody else", async () => {
      const asked = startCluster({ servers: 1, replicas: 1, dataDirectory: '.local', say: () => undefined });
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

    before(async function () {
      this.timeout(START_MS);
      bench = await replicaBench();
      bench.hearts.start();
      bench.sights.start();
      await eventually('both replicas follow', SOON_MS * 2, allFollow);
    });
    after(() => bench?.stop());

    const allFollow = (): boolean => bench.state().replicas.every(({ state }) => state === 'following');
    const stateOf = (replica: number): string | undefined => bench.state().replicas[replica]?.state;
    const put = async (leaved_amount: number): Promise<string> => {
      const sku_id = skuOn(0, fresh('replica'), SHARDS);
      await bench.write(
        `INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount) VALUES ('${sku_id}', 0, ${leaved_amount}, ${leaved_amount})`,
      );
      return sku_id;
    };
    const shows = (sku_id: string, leaved_amount: number): Promise<void> =>
      eventually(
        `${leaved_amount} is seen`,
        SOON_MS,
        async () => (await bench.look(sku_id))?.leaved_amount === leaved_amount,
      );
    const follow = async (): Promise<void> => {
      for (const replica of [0, 1]) await bench.tell(replica, 'START REPLICA');
      await eventually('both replicas follow', SOON_MS, allFollow);
    };

    it('follow by GTIDs, and commits wait for them where they were asked to', async () => {
      for (const replica of [0, 1]) {
        const [status] = await bench.tell(replica, 'SHOW REPLICA STATUS');
        expect([status?.Auto_Position, status?.Replica_IO_Running, status?.Replica_SQL_Running]).to.deep.equal([
          1,
          'Yes',
          'Yes',
        ]);
        const [settings] = await bench.tell(
          replica,
          'SELECT @@GLOBAL.gtid_mode AS gtids, @@GLOBAL.super_read_only AS locked, @@GLOBAL.replica_preserve_commit_order AS in_order',
        );
        expect({ ...settings }).to.deep.equal({ gtids: 'ON', locked: 1, in_order: 1 });
      }
      const [semiSync] = await bench.write("SHOW STATUS LIKE 'Rpl_semi_sync_source_status'");
      expect(semiSync?.Value).to.equal('ON');
    });

    it('refuse whoever writes', async () => {
      const refused = await bench.tell(0, 'UPDATE precheck SET heartbeat_at = NULL').then(
        () => null,
        (error: { errno: number }) => error.errno,
      );
      expect(refused).to.equal(1290);
    });

    it('show what was written, and how old that is', async () => {
      const sku_id = await put(7);
      await shows(sku_id, 7);
      const askedMs = performance.now();
      const sight = await bench.look(sku_id);
      expect(sight?.asOfMs)
        .to.be.at.most(askedMs + 50)
        .and.to.be.above(askedMs - LAG_MS_MAX);
      expect({ ...sight, asOfMs: 0 }).to.deep.equal({
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

    it('say "empty" only where nothing is left, held or on its way', async () => {
      const [empty, held, sent, split, away] = [await put(0), await put(0), await put(0), await put(0), await put(0)];
      const unknown = skuOn(0, fresh('unknown'), SHARDS);
      await bench.write(`UPDATE stock SET held_amount = 1 WHERE sku_id = '${held}'`);
      await bench.write(`INSERT INTO transfer VALUES ('${sent}', REPEAT('a', 16), 'out', 0, 1, 1, 0, 1, DEFAULT)`);
      await bench.write(
        `INSERT INTO hot_sku (sku_id, revision, state, epoch, last_epoch, places, earlier, shards, changed_at) VALUES ('${split}', 1, 'single', 1, 1, '[]', '[]', '[]', NOW(6))`,
      );
      const last = await put(3);
      await shows(last, 3);
      const seen = await bench.sights.look([empty, held, sent, split, unknown, empty], performance.now() + 3_000);
      expect(seen.map((sight) => sight?.isEmpty ?? null)).to.deep.equal([true, false, false, null, false, true]);
      expect([seen[4]?.leaved_amount, seen[4]?.version]).to.deep.equal([null, 0]);
      // A slot that was handed over.
      const elsewhere = skuOn(1, fresh('elsewhere'), SHARDS);
      const misled = new ReplicaSights({ ...optionsOf(bench), shardOf: () => 0 });
      misled.start();
      try {
        await eventually(
          'it follows',
          SOON_MS,
          async () => (await misled.look([away], performance.now() + 1_000))[0] !== null,
        );
        expect(await misled.look([elsewhere], performance.now() + 1_000)).to.deep.equal([null]);
      } finally {
        misled.stop();
      }
    });

    it('never call young what is old', async () => {
      const sku_id = await put(0);
      const answeredMs: number[] = [performance.now()];
      const seen: { version: number; asOfMs: number }[] = [];
      let isOver = false;
      const looking = (async () => {
        while (!isOver) {
          const sight = await bench.look(sku_id);
          if (sight?.leaved_amount !== null && sight !== null) seen.push(sight);
          await sleep(5);
        }
      })();
      const writer = await bench.session();
      for (let version = 1; version <= 60; version += 1) {
        if (version === 20) for (const replica of [0, 1]) await bench.tell(replica, 'STOP REPLICA SQL_THREAD');
        if (version === 40) for (const replica of [0, 1]) await bench.tell(replica, 'START REPLICA');
        await writer.beginTransaction();
        await writer.query('SELECT sellable_after_ms FROM precheck WHERE only_row = 1 LOCK IN SHARE MODE');
        await writer.query(`UPDATE stock SET version = version + 1 WHERE sku_id = '${sku_id}'`);
        await writer.commit();
        answeredMs[version] = performance.now();
        await sleep(10);
      }
      isOver = true;
      await looking;
      expect(new Set(seen.map(({ version }) => version)).size).to.be.above(10);
      // At the moment it names, the next version was not answered yet.
      expect(seen.filter(({ version, asOfMs }) => asOfMs > (answeredMs[version + 1] ?? Infinity))).to.deep.equal([]);
      await eventually('both replicas follow', SOON_MS, allFollow);
    });

    it('grow old when they stop, are left out then, and come back', async () => {
      const sku_id = await put(1);
      await shows(sku_id, 1);
      for (const replica of [0, 1]) await bench.tell(replica, 'STOP REPLICA SQL_THREAD');
      const ages: number[] = [];
      await eventually('they are left out', SOON_MS, async () => {
        const sight = await bench.look(sku_id);
        if (sight !== null) ages.push(performance.now() - sight.asOfMs);
        return sight === null;
      });
      expect(Math.max(...ages)).to.be.within(LAG_MS_MAX / 2, LAG_MS_MAX + 3_000);
      expect([stateOf(0), stateOf(1), bench.state().lagMs]).to.deep.equal(['lagging', 'lagging', null]);
      await follow();
      await shows(sku_id, 1);
    });

    it('are asked by their age: one that lags is passed over', async () => {
      const sku_id = await put(1);
      await shows(sku_id, 1);
      await bench.tell(0, 'STOP REPLICA SQL_THREAD');
      await bench.write(`UPDATE stock SET leaved_amount = 2 WHERE sku_id = '${sku_id}'`);
      await shows(sku_id, 2);
      expect(stateOf(0), 'passed over before it is left out').to.equal('following');
      for (let times = 0; times < 20; times += 1) {
        expect((await bench.look(sku_id))?.leaved_amount).to.equal(2);
        await sleep(20);
      }
      await eventually('one lags', SOON_MS, () => stateOf(0) === 'lagging' && stateOf(1) === 'following');
      await follow();
    });

    it('are passed over when frozen, and all frozen say nothing, in time', async () => {
      const sku_id = await put(4);
      await shows(sku_id, 4);
      const timed = async (): Promise<number> => {
        const startMs = performance.now();
        await bench.look(sku_id).catch(() => null);
        return performance.now() - startMs;
      };
      bench.replicas[0]?.signal('SIGSTOP');
      try {
        for (let times = 0; times < 10; times += 1) expect(await timed()).to.be.below(2 * STATEMENT_MS + 700);
        await eventually('it is silent', SOON_MS, () => stateOf(0) === 'silent');
        await shows(sku_id, 4);
        bench.replicas[1]?.signal('SIGSTOP');
        for (let times = 0; times < 5; times += 1) expect(await timed()).to.be.below(2 * STATEMENT_MS + 700);
        await eventually('both are silent', SOON_MS, () => stateOf(0) === 'silent' && stateOf(1) === 'silent');
        expect([await bench.look(sku_id), bench.state().lagMs]).to.deep.equal([null, null]);
      } finally {
        for (const replica of bench.replicas) replica.signal('SIGCONT');
      }
      await eventually('both replicas follow', SOON_MS, allFollow);
    });

    it('say nothing when all are dead, and go on where they were', async () => {
      const sku_id = await put(4);
      await shows(sku_id, 4);
      for (const replica of bench.replicas) replica.signal('SIGKILL');
      await eventually('both are silent', SOON_MS, () => stateOf(0) === 'silent' && stateOf(1) === 'silent');
      expect(await bench.look(sku_id)).to.equal(null);
      await bench.write(`UPDATE stock SET leaved_amount = 5 WHERE sku_id = '${sku_id}'`);
      await Promise.all(bench.replicas.map((replica) => replica.start()));
      await eventually('both replicas follow', SOON_MS * 2, allFollow);
      await shows(sku_id, 5);
    });

    it('are refused when somebody could write to them', async () => {
      await bench.tell(0, 'SET GLOBAL super_read_only = OFF, GLOBAL read_only = OFF');
      await eventually('it is refused', SOON_MS, () => stateOf(0) === 'refused');
      expect(bench.state().replicas[0]?.reason).to.contain('it is not read only');
      await bench.tell(0, 'SET GLOBAL super_read_only = ON');
      await eventually('both replicas follow', SOON_MS, allFollow);
    });

    it('follow again when kept data are started anew, on other ports', async () => {
      const options = {
        servers: 1,
        replicas: 1,
        dataDirectory: '.local',
        keep: `replicas-${process.pid}`,
        say: () => undefined,
      };
      try {
        const first = await startCluster(options);
        await query(first.servers[0], 'CREATE DATABASE one');
        await first.stop();
        const second = await startCluster(options);
        await query(second.servers[0], 'CREATE DATABASE two');
        const replica = second.servers[0]?.replicas[0];
        for (const name of ['one', 'two']) {
          await eventually(
            `${name} is there`,
            SOON_MS,
            async () => (await query(replica, `SHOW DATABASES LIKE '${name}'`)).length === 1,
          );
        }
        await second.stop();
      } finally {
        rmSync(join('.local', 'kept', options.keep), { recursive: true, force: true });
      }
    });

    describe('and the clock', () => {
      it('say nothing where it was never learnt', async () => {
        const options = optionsOf(bench);
        const blind = new ReplicaSights({
          ...options,
          shards: options.shards.map((shard) => ({ ...shard, clock: new ShardClock() })),
        });
        blind.start();
        try {
          await eventually('it was looked at', SOON_MS, () => blind.state()[0]?.replicas[0]?.state === 'unclear');
          expect(await blind.look([await put(0)], performance.now() + 1_000)).to.deep.equal([null]);
        } finally {
          blind.stop();
        }
      });

      it('say nothing of a heartbeat that lies ahead, and the next beat mends it', async () => {
        await bench.hearts.stop();
        const sku_id = await put(1);
        await bench.write('UPDATE precheck SET heartbeat_at = SYSDATE(6) + INTERVAL 100 SECOND');
        await eventually('nobody knows', SOON_MS, () => stateOf(0) === 'unclear' && stateOf(1) === 'unclear');
        expect(await bench.look(sku_id)).to.equal(null);
        bench.hearts.start();
        await shows(sku_id, 1);
      });

      it('say nothing until a clock that was set back has passed where it was', () => {
        const clock = new ShardClock();
        const nowMs = performance.now();
        const at = { askedMs: nowMs, heardMs: nowMs };
        clock.learn(1_000_000, nowMs);
        expect(ageMsOf(999_900, at, clock, LAG_MS_MAX)).to.be.within(0, 150);
        clock.learn(998_000, nowMs);
        expect(ageMsOf(997_900, at, clock, LAG_MS_MAX)).to.equal(null);
        const later = nowMs + 2_000 + LAG_MS_MAX + 500;
        expect(ageMsOf(999_000, { askedMs: later, heardMs: later }, clock, LAG_MS_MAX)).to.be.a('number');
        expect([clock.latestMs(nowMs + 61_000), new ShardClock().latestMs(nowMs)]).to.deep.equal([null, null]);
      });
    });

    describe('and the heartbeat', () => heartbeatPromises(() => bench, follow));
  });
}

async function query(server: DatabaseServer | undefined, sql: string): Promise<RowDataPacket[]> {
  const { host, port, user, password } = server ?? { host: '', port: 0, user: '', password: '' };
  const connection = await mysql.createConnection({ host, port, user, password });
  try {
    return (await connection.query<RowDataPacket[]>(sql))[0];
  } finally {
    connection.destroy();
  }
}

function optionsOf({ shards, stack }: ReplicaBench): ConstructorParameters<typeof ReplicaSights>[0] {
  return {
    shards: shards.map((shard) => ({
      shard: shard.index,
      initialShards: SHARDS,
      replicas: stack.shards[shard.index]?.replicas ?? [],
      clock: shard.clock,
    })),
    shardOf: () => 0,
    lagMsMax: LAG_MS_MAX,
    statementMs: STATEMENT_MS,
  };
}
