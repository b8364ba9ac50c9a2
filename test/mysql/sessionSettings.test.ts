import { expect } from 'chai';
import { Connection } from '../../src/mysql/connection/connection.ts';
import type { Address } from '../../src/mysql/connection/connection.ts';
import { ShardRefused } from '../../src/mysql/connection/failures.ts';
import { Shard } from '../../src/mysql/shard.ts';
import { inSnapshot } from '../../src/mysql/connection/snapshot.ts';
import { prepareReader } from '../../src/mysql/sql/session/prepareReader.ts';
import type { SESSION_SETTINGS } from '../../src/mysql/sql/session/prepareSession.ts';
import { prepareSession } from '../../src/mysql/sql/session/prepareSession.ts';
import { RepairLock } from '../../src/mysql/restore/repairLock.ts';
import { runFile } from '../support/run/command.ts';
import { eventually } from '../support/run/eventually.ts';
import { startTestGateway } from '../support/gateway/gateway.ts';
import { ownShards } from '../support/rows/ownShards.ts';
import type { OwnShards } from '../support/rows/ownShards.ts';
import { startRewritingProxy } from '../support/wire/rewritingProxy.ts';
import type { RewritingProxy } from '../support/wire/rewritingProxy.ts';
import { temporaryFolder } from '../support/run/temporary.ts';

const WAIT_MS = 5_000;

/** The values that a session has when the proxy drops its settings: a server's default, or another client's value. */
const LEFT: Readonly<Record<keyof typeof SESSION_SETTINGS, string>> = {
  sql_mode: "''",
  time_zone: "'+01:00'",
  character_set_client: "'latin1'",
  character_set_connection: "'latin1'",
  character_set_results: "'latin1'",
  autocommit: '0',
  completion_type: "'CHAIN'",
  sql_select_limit: '10',
  innodb_lock_wait_timeout: '50',
  lock_wait_timeout: '86400',
  wait_timeout: '28800',
};
const ISOLATION = 'SET SESSION TRANSACTION ISOLATION LEVEL';

/** Each rewrite, with the text that the refusal must contain. */
const DROPPED: readonly (readonly [what: string, rewrite: (statement: string) => string, named: string])[] = [
  ...Object.entries(LEFT).map(([name, left]) => {
    const named = `the session's ${name} is '${left.replaceAll("'", '')}'`;
    return [name, (sql: string) => dropSetting(sql, name, left), named] as const;
  }),
  ['the isolation level', (sql) => setLevel(sql, 'SERIALIZABLE, READ WRITE'), "session's isolation is 'SERIALIZABLE'"],
  ['the access mode', (sql) => setLevel(sql, 'READ COMMITTED, READ ONLY'), "the session's is_read_only is '1'"],
];

function setLevel(sql: string, level: string): string {
  return sql.startsWith(ISOLATION) ? `${ISOLATION} ${level}` : sql;
}

function dropSetting(sql: string, name: string, left: string): string {
  const setting = new RegExp(`\\b${name} = ('[^']*'|\\d+)`);
  return sql.startsWith('SET SESSION ') ? sql.replace(setting, `${name} = ${left}`) : sql;
}

describe('a proxy that drops settings of sessions', () => {
  let own: OwnShards;
  let proxy: RewritingProxy;
  let address: Address;

  before(async () => {
    own = await ownShards({ count: 1, migrated: true });
    const [shard] = await own.load();
    if (shard === undefined) throw new Error('no shard');
    proxy = await startRewritingProxy(shard.address);
    address = { ...shard.address, port: proxy.port };
    own.rewrite((file) => {
      for (const { primary } of file.shards) Object.assign(primary, { host: '127.0.0.1', port: proxy.port });
    });
  });
  after(async () => {
    await proxy.close();
    await own.drop();
  });
  afterEach(() => {
    proxy.rewrite = (sql) => sql;
  });

  const withConnection = async <T>(work: (connection: Connection, deadlineMs: number) => Promise<T>): Promise<T> => {
    const connection = await Connection.open(address, WAIT_MS);
    try {
      return await work(connection, performance.now() + WAIT_MS);
    } finally {
      connection.destroy();
    }
  };
  const failureOf = (work: Promise<unknown>): Promise<unknown> =>
    work.then(
      () => null,
      (error: unknown) => error,
    );

  for (const [what, rewrite, named] of DROPPED) {
    it(`is refused as a shard when it drops ${what}, with the value found and the value needed`, async () => {
      proxy.rewrite = rewrite;
      const shard = new Shard({
        ...{ name: 'own', address, shard: 0, initialShards: 1, connections_max: 2, waiting_max: 10 },
        ...{ statementMs: WAIT_MS, relaxedAllowed: false, onChange: () => undefined },
      });
      try {
        await shard.tried;
        expect(shard.state()).to.include({ state: 'refused' });
        expect(shard.state().reason)
          .to.contain(named)
          .and.to.match(/after it was set to '/);
        proxy.rewrite = (sql) => sql;
        await eventually('it is served when the settings hold', WAIT_MS, () => shard.isServing);
      } finally {
        shard.pool.close();
      }
    });
  }

  it('makes a gateway not ready, and the gateway sells nothing through it', async () => {
    proxy.rewrite = (sql) => dropSetting(sql, 'wait_timeout', LEFT.wait_timeout);
    const gateway = await startTestGateway({}, own);
    try {
      expect((await gateway.adminGet('/readyz')).status).to.equal(503);
      const [shard] = (await gateway.adminGet('/v1/shards')).body?.shards as { state: string; reason: string }[];
      expect(shard?.reason).to.contain("the session's wait_timeout is '28800' after it was set to '2'");
      const { body } = await gateway.deduct({ sku_id: 'a', order_detail_id: 'd', quantity: 1 });
      expect(body).to.include({ code: 'overloaded' });
    } finally {
      await gateway.stop();
    }
  });

  it('is refused by commands that write, and they change nothing', async () => {
    const folder = temporaryFolder();
    const file = folder.write('stock.csv', 'sku_id,leaved_amount\nimported,5\n');
    proxy.rewrite = (sql) => dropSetting(sql, 'innodb_lock_wait_timeout', LEFT.innodb_lock_wait_timeout);
    const commands = { 'src/commands/import-stock.ts': [file], 'src/commands/reconcile.ts': ['--repair'] };
    for (const [script, words] of Object.entries(commands)) {
      const { code, stdout, stderr } = await runFile(script, words, own.environment);
      expect(code, script).to.equal(1);
      expect(stdout + stderr, script).to.contain("innodb_lock_wait_timeout is '50'");
    }
    expect(await own.query(0, 'SELECT COUNT(*) AS count FROM stock')).to.deep.equal([{ count: 0 }]);
  });

  for (const name of ['sql_mode', 'lock_wait_timeout'] as const) {
    it(`is refused by migrations when it drops ${name}`, async () => {
      await own.query(0, "DELETE FROM migration WHERE name LIKE '0009%'");
      proxy.rewrite = (sql) => dropSetting(sql, name, LEFT[name]);
      const { code, stdout, stderr } = await runFile('src/commands/migrate.ts', ['up'], own.environment);
      expect(code).to.equal(1);
      expect(stdout + stderr).to.contain(`the session's ${name} is '${LEFT[name].replaceAll("'", '')}'`);
      const applied = await own.query(0, "SELECT COUNT(*) AS count FROM migration WHERE name LIKE '0009%'");
      expect(applied).to.deep.equal([{ count: 0 }]);
      proxy.rewrite = (sql) => sql;
      expect((await runFile('src/commands/migrate.ts', ['up'], own.environment)).code).to.equal(0);
    });
  }

  it('is refused by readers of replicas, also when it leaves their sessions writable', async () => {
    for (const level of ['READ COMMITTED, READ ONLY', 'REPEATABLE READ, READ WRITE']) {
      proxy.rewrite = (sql) => setLevel(sql, level);
      expect(await failureOf(withConnection(prepareReader)), level).to.be.instanceOf(ShardRefused);
    }
    proxy.rewrite = (sql) => sql;
    await withConnection(prepareReader);
  });

  it('is refused by the lock of commands, because the server would end the idle session', async () => {
    proxy.rewrite = (sql) => dropSetting(sql, 'wait_timeout', '2');
    const failure = await failureOf(RepairLock.take([{ name: 'own', address }], WAIT_MS, performance.now() + WAIT_MS));
    expect(failure).to.be.instanceOf(ShardRefused);
    expect(String(failure)).to.contain("wait_timeout is '2' after it was set to '86400'");
  });

  it('is refused by reads that need one snapshot', async () => {
    const read = (connection: Connection, deadlineMs: number): Promise<number> =>
      prepareSession(connection, deadlineMs).then(() => inSnapshot(connection, deadlineMs, () => Promise.resolve(1)));
    expect(await withConnection(read)).to.equal(1);
    proxy.rewrite = (sql) => (sql.startsWith(`${ISOLATION} REPEATABLE READ`) ? 'DO 1' : sql);
    const failure = await failureOf(withConnection(read));
    expect(failure).to.be.instanceOf(ShardRefused);
    expect(String(failure)).to.contain(
      "the session's isolation is 'READ-COMMITTED' after it was set to 'REPEATABLE-READ'",
    );
  });
});
