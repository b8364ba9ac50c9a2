import { expect } from 'chai';
import knex from 'knex';
import type { LockHolder } from '../../../src/core/ports/shardMigrator.ts';
import { endHolder, findHolder, lockOf } from '../../../src/mysql/migrations/migrationLock.ts';
import { runFile } from '../../support/run/command.ts';
import { eventually } from '../../support/run/eventually.ts';
import { ownShards } from '../../support/rows/ownShards.ts';
import type { OwnShards } from '../../support/rows/ownShards.ts';
import { sideSession } from '../../support/rows/sideSession.ts';

const WAIT_MS = 60_000;

describe('ending a migration', function () {
  this.timeout(2 * WAIT_MS);
  let own: OwnShards | null = null;

  const make = async (): Promise<OwnShards> => (own = await ownShards({ count: 1, migrated: true }));
  afterEach(async () => {
    await own?.drop();
    own = null;
  });

  it('ends only the connection that it found, and only while that holds the lock', async () => {
    const shards = await make();
    const { host = '', port = 0, user = '', password = '', schema = '' } = (await shards.load())[0]?.address ?? {};
    const lock = lockOf(schema);
    const connection = { host, port, user, password, database: schema };
    const database = knex({ client: 'mysql2', connection, pool: { min: 0, max: 1 } });
    const [first, second] = [await sideSession(0), await sideSession(0)];
    const take = (session: typeof first): Promise<unknown> => session.query('SELECT GET_LOCK(?, 1)', [lock]);
    const lives = (session: typeof first): Promise<boolean> =>
      session.query('SELECT 1').then(
        () => true,
        () => false,
      );
    const waiting = { untilMs: performance.now() + WAIT_MS, onWait: () => undefined };
    const found = async (): Promise<LockHolder> =>
      (await findHolder(database, lock)) ?? expect.fail('nothing holds the lock');
    try {
      await take(first);
      const holder = await found();
      await first.query('SELECT RELEASE_LOCK(?)', [lock]);
      await take(second);
      // The run of the first session is over, and another one has begun.
      expect(await endHolder(database, lock, holder, waiting)).to.equal('by_itself');
      // The same connection number, from another client.
      expect(await endHolder(database, lock, { ...(await found()), from: `${host}:1` }, waiting)).to.equal('by_itself');
      expect([await lives(first), await lives(second)]).to.deep.equal([true, true]);
      const last = await found();
      await second.end();
      await eventually('the lock is free', WAIT_MS, async () => (await findHolder(database, lock)) === null);
      expect(await endHolder(database, lock, last, waiting)).to.equal('by_itself');
      await take(first);
      expect(await endHolder(database, lock, await found(), waiting)).to.equal('ended');
      expect([await lives(first), await findHolder(database, lock)]).to.deep.equal([false, null]);
    } finally {
      first.destroy();
      await database.destroy();
    }
  });

  it('waits until the server has rolled back the ended run, and names the next run', async () => {
    const shards = await make();
    const [address] = (await shards.load()).map((shard) => shard.address);
    const lock = lockOf(address?.schema ?? '');
    await shards.query(0, 'CREATE TABLE many (id INT PRIMARY KEY AUTO_INCREMENT, text CHAR(200) NOT NULL)');
    const [holder, next] = [await sideSession(0), await sideSession(0)];
    await holder.query(`USE ${address?.schema}`);
    await holder.query('SELECT GET_LOCK(?, 1)', [lock]);
    await holder.beginTransaction();
    await holder.query("INSERT INTO many (text) VALUES ('a')");
    const doubling = 'INSERT INTO many (text) SELECT text FROM many';
    for (let doubled = 0; doubled < 16; doubled += 1) await holder.query(doubling);
    const coming = next.query('SELECT GET_LOCK(?, 60) AS taken', [lock]);
    const ended = await runFile('src/commands/migrate.ts', ['unlock', '--end'], shards.environment);
    await coming;
    expect(ended.code, ended.stderr).to.equal(1);
    expect(ended.stderr).to.match(/own-0: another migration runs now, on connection \d+ of /);
    expect(ended.stderr).not.to.contain('another migration of this shard is running');
    expect(ended.stdout).to.match(/it was ended, and now held by connection \d+ of /);
    expect(await shards.query(0, 'SELECT COUNT(*) AS n FROM many')).to.deep.equal([{ n: 0 }]);
    expect(
      await next.query('SELECT 1').then(
        () => 'alive',
        () => 'ended',
      ),
    ).to.equal('alive');
    holder.destroy();
    await next.end();
  });
});
