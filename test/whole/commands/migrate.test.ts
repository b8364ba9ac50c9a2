import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { initialSlots, SLOT_COUNT } from '../../../src/core/slots.ts';
import { GATEWAY_LEVEL } from '../../../src/mysql/migrations/schemaLevel.ts';
import { freePort } from '../../../scripts/cluster/port.ts';
import { projectPath } from '../../../src/projectPath.ts';
import { eventually } from '../../support/run/eventually.ts';
import {
  addMigration,
  AFTER,
  ALL,
  MIGRATION_APPLIED,
  copyMigrations,
  faultsOf,
  LEVEL,
  levelsOf,
  migrate,
  migrateCommand as command,
  NEXT,
  numbered,
  rowOf,
  sellAtFirstLevel,
} from '../../support/systems/migrations.ts';
import { ownShards } from '../../support/rows/ownShards.ts';
import type { OwnShards } from '../../support/rows/ownShards.ts';
import { sideSession } from '../../support/rows/sideSession.ts';
import { temporaryFolder } from '../../support/run/temporary.ts';
import type { TemporaryFolder } from '../../support/run/temporary.ts';

describe('migration', () => {
  let own: OwnShards | null = null;

  const make = async (count: number, migrated: boolean): Promise<OwnShards> =>
    (own = await ownShards({ count, migrated }));
  afterEach(async () => {
    await own?.drop();
    own = null;
  });

  it('reports empty schemas as behind, brings all up to date, and then finds nothing to do', async () => {
    const shards = await make(3, false);
    await shards.query(0, 'CREATE DATABASE {schema}');
    const before = await command(shards, 'status');
    expect(before.code).to.equal(1);
    expect(rowOf(before, 0)).to.deep.equal(['own-0', '0', LEVEL, '-', 'behind']);
    expect(rowOf(before, 1).at(-1)).to.match(/Unknown database/);
    expect(before.stderr).to.contain('3 of 3 shards are not up to date (own-0, own-1, own-2)');

    const up = await command(shards, 'up', '--create-schemas');
    expect(up.code, up.stderr).to.equal(0);
    expect(up.stderr).to.match(/migrating .*\/3 shards/);
    expect(rowOf(up, 2)).to.deep.equal(['own-2', LEVEL, '0', '341', MIGRATION_APPLIED]);

    for (const again of [await command(shards, 'up'), await command(shards, 'status')]) {
      expect(again.code, again.stderr).to.equal(0);
      expect(rowOf(again, 0)).to.deep.equal(['own-0', LEVEL, '0', '342', 'up to date']);
    }
  });

  it('creates no schema without --create-schemas', async () => {
    expect(faultsOf(await migrate(await make(1, false)))[0]).to.match(/Unknown database/);
  });

  it('migrates the other shards when one is down, names that one, and can be repeated', async () => {
    const shards = await make(3, false);
    const { port = 0 } = (await shards.load())[1]?.address ?? {};
    const closed = await freePort();
    shards.rewrite((file) => Object.assign(file.shards[1]?.primary ?? {}, { port: closed }));
    const up = await command(shards, 'up', '--create-schemas');
    expect(up.code).to.equal(1);
    expect([0, 1, 2].map((shard) => rowOf(up, shard)[1])).to.deep.equal([LEVEL, '-', LEVEL]);
    expect(rowOf(up, 1).at(-1)).to.contain(`ECONNREFUSED 127.0.0.1:${closed}`);
    expect(up.stderr).to.contain('1 of 3 shards are not up to date (own-1)').and.not.to.contain('    at ');

    shards.rewrite((file) => Object.assign(file.shards[1]?.primary ?? {}, { port }));
    const repeated = await command(shards, 'up', '--create-schemas');
    expect(repeated.code, repeated.stderr).to.equal(0);
    expect([0, 1, 2].map((shard) => rowOf(repeated, shard).at(-1))).to.deep.equal([
      'up to date',
      MIGRATION_APPLIED,
      'up to date',
    ]);
  });

  it('assigns every slot to exactly one of 16 shards, as the router does, and none to a 17th', async () => {
    const shards = await make(17, false);
    shards.rewrite((file) => (file.initialShards = 16));
    const up = await command(shards, 'up', '--create-schemas');
    expect(up.code, up.stderr).to.equal(0);
    const owned = await Promise.all(
      Array.from({ length: 17 }, async (_, shard) =>
        (await shards.query(shard, 'SELECT slot FROM slot ORDER BY slot')).map(({ slot }) => Number(slot)),
      ),
    );
    expect(owned.flat()).to.have.length(SLOT_COUNT);
    expect(new Set(owned.flat())).to.have.property('size', SLOT_COUNT);
    expect(owned).to.deep.equal(Array.from({ length: 17 }, (_, shard) => initialSlots(shard, 16)));
    expect(rowOf(up, 16)).to.deep.equal(['own-16', LEVEL, '0', '0', MIGRATION_APPLIED]);
  });

  it('does not wait for the lock of a run that was killed', async () => {
    const shards = await make(1, true);
    // knex had locked its table and created the tables, and had not recorded the migration yet.
    await shards.query(0, 'UPDATE migration_lock SET is_locked = 1');
    for (const table of ['migration', 'slot', 'shard']) await shards.query(0, `DELETE FROM ${table}`);
    const up = await command(shards, 'up');
    expect(up.code, up.stderr).to.equal(0);
    expect(rowOf(up, 0)).to.deep.equal(['own-0', LEVEL, '0', '1024', MIGRATION_APPLIED]);
  });

  it('finds the lock of a run that was killed, explains it and removes it', async () => {
    const shards = await make(2, true);
    await shards.query(1, 'UPDATE migration_lock SET is_locked = 1');
    const first = await command(shards, 'unlock');
    expect([first.code, rowOf(first, 0), rowOf(first, 1)], first.stderr).to.deep.equal([
      0,
      ['own-0', 'none'],
      ['own-1', 'left by a run that died; removed'],
    ]);
    expect(await shards.query(1, 'SELECT is_locked FROM migration_lock')).to.deep.equal([{ is_locked: 0 }]);
    expect(rowOf(await command(shards, 'unlock'), 1)).to.deep.equal(['own-1', 'none']);
  });

  it('names a run that is in progress, leaves it alone, and ends it with --end', async () => {
    const shards = await make(1, true);
    const [schema = ''] = (await shards.load()).map(({ address }) => address.schema);
    const holder = await sideSession(0);
    await holder.query('SELECT GET_LOCK(?, 1)', [`stockgate:${createHash('sha1').update(schema).digest('hex')}`]);
    const held = await command(shards, 'unlock');
    expect([held.code, rowOf(held, 0)[1]], held.stderr).to.deep.equal([
      1,
      rowOf(held, 0)[1]?.match(/^held by connection \d+ of \S+ from \S+, for \d+ s: .*$/)?.[0],
    ]);
    expect(held.stderr).to.contain('--end ends it');
    await holder.query('SELECT 1');
    const ended = await command(shards, 'unlock', '--end');
    expect([ended.code, rowOf(ended, 0)[1]], ended.stderr).to.deep.equal([
      0,
      rowOf(ended, 0)[1]?.match(/^held by .*; it was ended, and left none$/)?.[0],
    ]);
    const session = await holder.query('SELECT 1').then(
      () => 'alive',
      () => 'ended',
    );
    expect(session).to.equal('ended');
    holder.destroy();
    expect((await command(shards, 'up')).code).to.equal(0);
  });

  it('finishes the work of a run that was killed before it assigned the slots', async () => {
    const shards = await make(2, true);
    await shards.query(1, 'DELETE FROM slot');
    await shards.query(1, 'DELETE FROM shard');
    const status = await command(shards, 'status');
    expect([status.code, rowOf(status, 1).at(-1)]).to.deep.equal([1, 'behind']);
    expect(faultsOf(await migrate(shards))).to.deep.equal([null, null]);
    expect(await shards.query(1, 'SELECT COUNT(*) AS slots FROM slot')).to.deep.equal([{ slots: SLOT_COUNT / 2 }]);
  });

  it('succeeds for twenty runs at once, and applies each migration once', async () => {
    const shards = await make(4, false);
    await Promise.all([0, 1, 2, 3].map((shard) => shards.query(shard, 'CREATE DATABASE {schema}')));
    const runs = await Promise.all(Array.from({ length: 20 }, () => migrate(shards)));
    expect(runs.flatMap(faultsOf)).to.deep.equal(Array.from({ length: 80 }, () => null));
    for (const shard of [0, 1, 2, 3]) {
      expect(runs.flatMap((run) => run[shard]?.appliedNow ?? [])).to.deep.equal(ALL);
      expect(await shards.query(shard, 'SELECT name FROM migration ORDER BY id')).to.deep.equal(
        ALL.map((name) => ({ name })),
      );
      expect(await shards.query(shard, 'SELECT COUNT(*) AS slots FROM slot')).to.deep.equal([
        { slots: SLOT_COUNT / 4 },
      ]);
    }
  });

  it('reports a schema that is newer than this checkout, and leaves it unchanged', async () => {
    const shards = await make(2, true);
    const name = numbered(NEXT, 'to_come');
    await shards.query(1, `INSERT INTO migration (name, batch, migration_time) VALUES ('${name}', 2, NOW())`);
    await shards.query(1, `UPDATE shard SET schema_level = ${NEXT}`);
    await shards.query(1, 'CREATE TABLE to_come (id INT PRIMARY KEY)');
    for (const call of ['status', 'up']) {
      const printed = await command(shards, call);
      expect(printed.code, printed.stderr).to.equal(0);
      const newer = `newer than this checkout: ${name}`;
      expect(rowOf(printed, 1)).to.deep.equal(['own-1', String(NEXT), '0', '512', newer]);
    }
    expect(await shards.query(1, 'SELECT schema_level FROM shard')).to.deep.equal([{ schema_level: NEXT }]);
    expect(await shards.query(1, "SHOW TABLES LIKE 'to_come'")).to.have.length(1);
  });

  it('names an algorithm for every change to a table, so that a server rejects it rather than copies the table', () => {
    const changes = ALL.flatMap(
      (name) => readFileSync(projectPath(`migrations/${name}.ts`), 'utf8').match(/ALTER TABLE.*/g) ?? [],
    );
    expect(changes).to.not.be.empty;
    for (const change of changes) expect(change).to.match(/, ALGORITHM = (INSTANT|INPLACE, LOCK = NONE)\b/);
  });

  describe('from the first version', () => {
    let folder: TemporaryFolder;
    beforeEach(() => {
      folder = temporaryFolder();
    });
    afterEach(() => folder.remove());

    /** Brings a shard to a level as the checkout of that level did. */
    const migrateTo = async (shards: OwnShards, level: number): Promise<unknown> => {
      copyMigrations(ALL.slice(0, level), folder.path);
      expect(faultsOf(await migrate(shards, folder.path))).to.deep.equal([null]);
      return (await levelsOf(shards))[0];
    };
    it('serves first-level gateways while tables grow, and shuts them out before others write new values', async () => {
      const shards = await make(1, false);
      await shards.query(0, 'CREATE DATABASE {schema}');
      expect(await migrateTo(shards, 1)).to.deep.equal({ schema_level: 1, oldest_gateway: 1 });
      await shards.query(
        0,
        "INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount) VALUES ('sku', 0, 9, 9)",
      );
      await sellAtFirstLevel(shards, 'before');
      expect(await migrateTo(shards, 2)).to.deep.equal({ schema_level: 2, oldest_gateway: 1 });
      await sellAtFirstLevel(shards, 'between');
      const flows = await shards.query(0, 'SELECT status, attempt, quantity, returned FROM flow');
      expect(flows).to.deep.equal([1, 2].map(() => ({ status: 'deducted', attempt: 0, quantity: 2, returned: 0 })));
      const stock = await shards.query(0, 'SELECT leaved_amount, held_amount, sale_state, sale_from FROM stock');
      expect(stock).to.deep.equal([{ leaved_amount: 5, held_amount: 0, sale_state: 'on', sale_from: null }]);
      expect(await migrateTo(shards, 3)).to.deep.equal({ schema_level: 3, oldest_gateway: 3 });
    });

    it('shuts no gateway out of a shard where the tables cannot grow', async () => {
      const shards = await make(1, false);
      await shards.query(0, 'CREATE DATABASE {schema}');
      await migrateTo(shards, 1);
      await shards.query(0, 'ALTER TABLE flow DROP COLUMN status');
      expect(faultsOf(await migrate(shards))[0]).to.match(/status/);
      expect(await levelsOf(shards)).to.deep.equal([{ schema_level: 1, oldest_gateway: 1 }]);
    });
  });

  describe('to a later version', () => {
    let later: TemporaryFolder;
    beforeEach(() => {
      later = temporaryFolder();
      copyMigrations(ALL, later.path);
    });
    afterEach(() => later.remove());

    it('applies new migrations in their order, keeps the data and records the level', async () => {
      const shards = await make(1, true);
      await shards.query(
        0,
        "INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount) VALUES ('kept', 0, 7, 7)",
      );
      addMigration(later, numbered(AFTER, 'more'), GATEWAY_LEVEL + 1, 'CREATE TABLE more LIKE next');
      addMigration(later, numbered(NEXT, 'next'), 1, 'CREATE TABLE next (number INT PRIMARY KEY)');
      expect((await migrate(shards, later.path))[0])
        .to.include({ fault: null })
        .and.have.property('appliedNow')
        .eql([numbered(NEXT, 'next'), numbered(AFTER, 'more')]);
      expect(await levelsOf(shards)).to.deep.equal([{ schema_level: AFTER, oldest_gateway: GATEWAY_LEVEL + 1 }]);
      expect(await shards.query(0, 'SELECT leaved_amount FROM stock')).to.deep.equal([{ leaved_amount: 7 }]);
    });

    it('stops once its connection was ended, even if it was only waiting', async () => {
      const shards = await make(1, true);
      addMigration(later, numbered(NEXT, 'next'), GATEWAY_LEVEL + 1, 'CREATE TABLE next (number INT PRIMARY KEY)');
      const running = migrate(shards, later.path, 4_000);
      await eventually('it waits for gateways to notice', 10_000, async () =>
        JSON.stringify(await levelsOf(shards)).includes(`"oldest_gateway":${GATEWAY_LEVEL + 1}`),
      );
      const ended = await command(shards, 'unlock', '--end');
      expect([ended.code, rowOf(ended, 0)[1]], ended.stderr).to.deep.equal([
        0,
        rowOf(ended, 0)[1]?.match(/^held by .*; it was ended, .*$/)?.[0],
      ]);
      expect(faultsOf(await running)[0]).to.contain('nothing more is done');
      expect(await shards.query(0, "SHOW TABLES LIKE 'next'")).to.deep.equal([]);
      expect(faultsOf(await migrate(shards, later.path))).to.deep.equal([null]);
    });

    it('shuts old gateways out before it begins, and does not record a level that it did not reach', async () => {
      const shards = await make(1, true);
      addMigration(later, numbered(NEXT, 'next'), GATEWAY_LEVEL + 1, 'CREATE TABLE stock (number INT PRIMARY KEY)');
      expect(faultsOf(await migrate(shards, later.path))[0]).to.match(/already exists/);
      expect(await levelsOf(shards)).to.deep.equal([{ schema_level: ALL.length, oldest_gateway: GATEWAY_LEVEL + 1 }]);
      // The lock that knex keeps after a failure does not block the next run.
      expect(faultsOf(await migrate(shards))).to.deep.equal([null]);
    });
  });
});
