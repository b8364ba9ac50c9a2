import { createHash } from 'node:crypto';
import { copyFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { initialSlots, SLOT_COUNT } from '../../src/core/slots.ts';
import { KnexMigrator } from '../../src/mysql/migrator.ts';
import { GATEWAY_LEVEL } from '../../src/mysql/schemaLevel.ts';
import { migrateShards } from '../../src/service/migrateShards.ts';
import type { MigrationResult } from '../../src/service/migrateShards.ts';
import { freePort } from '../../scripts/cluster/port.ts';
import { projectPath } from '../../scripts/support/paths.ts';
import { runFile } from '../support/command.ts';
import type { Finished } from '../support/command.ts';
import { eventually } from '../support/eventually.ts';
import { ownShards } from '../support/ownShards.ts';
import type { OwnShards } from '../support/ownShards.ts';
import { sideSession } from '../support/sideSession.ts';
import { temporaryFolder } from '../support/temporary.ts';
import type { TemporaryFolder } from '../support/temporary.ts';

/** The migrations there are, in their order; those to come in these tests follow them. */
const ALL = readdirSync(projectPath('migrations'))
  .map((file) => file.replace(/\.ts$/, ''))
  .sort();
const LEVEL = String(ALL.length);
const [NEXT, AFTER] = [ALL.length + 1, ALL.length + 2];
const numbered = (level: number, name: string): string => `${String(level).padStart(4, '0')}_${name}`;
const APPLIED = `applied ${ALL.join(', ')}`;

describe('migration', () => {
  let own: OwnShards | null = null;

  const make = async (count: number, migrated: boolean): Promise<OwnShards> =>
    (own = await ownShards({ count, migrated }));
  afterEach(async () => {
    await own?.drop();
    own = null;
  });

  const command = (shards: OwnShards, ...args: string[]): Promise<Finished> =>
    runFile('scripts/migrate.ts', args, shards.environment);
  /** The cells of a shard's row in the table that the command prints. */
  const row = ({ stdout }: Finished, shard: number): string[] => {
    const line = stdout.split('\n').find((candidate) => candidate.includes(`own-${shard} `)) ?? '';
    return line
      .split('│')
      .slice(1, -1)
      .map((cell) => cell.trim());
  };
  const migrate = async (
    shards: OwnShards,
    directory = projectPath('migrations'),
    noticedMs = 100,
  ): Promise<MigrationResult[]> => {
    const addresses = (await shards.load()).map(({ address }) => address);
    const migrator = new KnexMigrator({
      addresses,
      initialShards: shards.initialShards,
      directory,
      createSchemas: false,
      noticedMs,
    });
    return migrateShards({ migrator, shardCount: addresses.length, apply: true, shardMs: 30_000 });
  };
  const faults = (results: readonly MigrationResult[]): (string | null)[] => results.map(({ fault }) => fault);

  it('says how empty schemas stand, brings all up to date, and then finds nothing to do', async () => {
    const shards = await make(3, false);
    await shards.query(0, 'CREATE DATABASE {schema}');
    const before = await command(shards, 'status');
    expect(before.code).to.equal(1);
    expect(row(before, 0)).to.deep.equal(['own-0', '0', LEVEL, '-', 'behind']);
    expect(row(before, 1).at(-1)).to.match(/Unknown database/);
    expect(before.stderr).to.contain('3 of 3 shards are not up to date (own-0, own-1, own-2)');

    const up = await command(shards, 'up', '--create-schemas');
    expect(up.code, up.stderr).to.equal(0);
    expect(up.stderr).to.match(/migrating .*\/3 shards/);
    expect(row(up, 2)).to.deep.equal(['own-2', LEVEL, '0', '341', APPLIED]);

    for (const again of [await command(shards, 'up'), await command(shards, 'status')]) {
      expect(again.code, again.stderr).to.equal(0);
      expect(row(again, 0)).to.deep.equal(['own-0', LEVEL, '0', '342', 'up to date']);
    }
  });

  it('creates no schema unless it is told to', async () => {
    expect(faults(await migrate(await make(1, false)))[0]).to.match(/Unknown database/);
  });

  it('leaves the others done when one shard is down, says which, and can be repeated', async () => {
    const shards = await make(3, false);
    const { port = 0 } = (await shards.load())[1]?.address ?? {};
    const closed = await freePort();
    shards.rewrite((file) => Object.assign(file.shards[1]?.primary ?? {}, { port: closed }));
    const up = await command(shards, 'up', '--create-schemas');
    expect(up.code).to.equal(1);
    expect([0, 1, 2].map((shard) => row(up, shard)[1])).to.deep.equal([LEVEL, '-', LEVEL]);
    expect(row(up, 1).at(-1)).to.contain(`ECONNREFUSED 127.0.0.1:${closed}`);
    expect(up.stderr).to.contain('1 of 3 shards are not up to date (own-1)').and.not.to.contain('    at ');

    shards.rewrite((file) => Object.assign(file.shards[1]?.primary ?? {}, { port }));
    const repeated = await command(shards, 'up', '--create-schemas');
    expect(repeated.code, repeated.stderr).to.equal(0);
    expect([0, 1, 2].map((shard) => row(repeated, shard).at(-1))).to.deep.equal(['up to date', APPLIED, 'up to date']);
  });

  it('deals every slot to exactly one of the sixteen shards, as the router has it, and none to a seventeenth', async () => {
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
    expect(row(up, 16)).to.deep.equal(['own-16', LEVEL, '0', '0', APPLIED]);
  });

  it('is not held up by the lock of a run that was killed', async () => {
    const shards = await make(1, true);
    // knex had locked its table, had made the tables and had not yet written down that it did.
    await shards.query(0, 'UPDATE migration_lock SET is_locked = 1');
    await shards.query(0, 'DELETE FROM migration');
    const up = await command(shards, 'up');
    expect(up.code, up.stderr).to.equal(0);
    expect(row(up, 0)).to.deep.equal(['own-0', LEVEL, '0', '1024', APPLIED]);
  });

  it('finds the lock of a run that was killed, explains it and takes it away', async () => {
    const shards = await make(2, true);
    await shards.query(1, 'UPDATE migration_lock SET is_locked = 1');
    const first = await command(shards, 'unlock');
    expect([first.code, row(first, 0), row(first, 1)], first.stderr).to.deep.equal([
      0,
      ['own-0', 'none'],
      ['own-1', 'left by a run that died; taken away'],
    ]);
    expect(await shards.query(1, 'SELECT is_locked FROM migration_lock')).to.deep.equal([{ is_locked: 0 }]);
    expect(row(await command(shards, 'unlock'), 1)).to.deep.equal(['own-1', 'none']);
  });

  it('names a run that lives, leaves it alone, and ends it when told to', async () => {
    const shards = await make(1, true);
    const [schema = ''] = (await shards.load()).map(({ address }) => address.schema);
    const holder = await sideSession(0);
    await holder.query('SELECT GET_LOCK(?, 1)', [`stockgate:${createHash('sha1').update(schema).digest('hex')}`]);
    const held = await command(shards, 'unlock');
    expect([held.code, row(held, 0)[1]], held.stderr).to.deep.equal([
      1,
      row(held, 0)[1]?.match(/^held by connection \d+ of \S+ from \S+, for \d+ s: .*$/)?.[0],
    ]);
    expect(held.stderr).to.contain('--end ends it');
    await holder.query('SELECT 1');
    const ended = await command(shards, 'unlock', '--end');
    expect([ended.code, row(ended, 0)[1]], ended.stderr).to.deep.equal([
      0,
      row(ended, 0)[1]?.match(/^held by .*; it was ended, and left none$/)?.[0],
    ]);
    expect(
      await holder.query('SELECT 1').then(
        () => 'alive',
        () => 'ended',
      ),
    ).to.equal('ended');
    holder.destroy();
    expect((await command(shards, 'up')).code).to.equal(0);
  });

  it('finishes what a run that was killed before the slots were dealt had begun', async () => {
    const shards = await make(2, true);
    await shards.query(1, 'DELETE FROM slot');
    await shards.query(1, 'DELETE FROM shard');
    const status = await command(shards, 'status');
    expect([status.code, row(status, 1).at(-1)]).to.deep.equal([1, 'behind']);
    expect(faults(await migrate(shards))).to.deep.equal([null, null]);
    expect(await shards.query(1, 'SELECT COUNT(*) AS slots FROM slot')).to.deep.equal([{ slots: SLOT_COUNT / 2 }]);
  });

  it('ends well for twenty runs at once, and applies each migration once', async () => {
    const shards = await make(4, false);
    await Promise.all([0, 1, 2, 3].map((shard) => shards.query(shard, 'CREATE DATABASE {schema}')));
    const runs = await Promise.all(Array.from({ length: 20 }, () => migrate(shards)));
    expect(runs.flatMap(faults)).to.deep.equal(Array.from({ length: 80 }, () => null));
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

  it('reports a schema that is newer than this checkout, and touches nothing of it', async () => {
    const shards = await make(2, true);
    await shards.query(
      1,
      `INSERT INTO migration (name, batch, migration_time) VALUES ('${numbered(NEXT, 'to_come')}', 2, NOW())`,
    );
    await shards.query(1, `UPDATE shard SET schema_level = ${NEXT}`);
    await shards.query(1, 'CREATE TABLE to_come (id INT PRIMARY KEY)');
    for (const call of ['status', 'up']) {
      const said = await command(shards, call);
      expect(said.code, said.stderr).to.equal(0);
      expect(row(said, 1)).to.deep.equal([
        'own-1',
        String(NEXT),
        '0',
        '512',
        `newer than this checkout: ${numbered(NEXT, 'to_come')}`,
      ]);
    }
    expect(await shards.query(1, 'SELECT schema_level FROM shard')).to.deep.equal([{ schema_level: NEXT }]);
    expect(await shards.query(1, "SHOW TABLES LIKE 'to_come'")).to.have.length(1);
  });

  it('says of every change to a table that stands how it is done, so that a server refuses rather than copies it', () => {
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
      for (const name of ALL.slice(0, level))
        copyFileSync(projectPath(`migrations/${name}.ts`), join(folder.path, `${name}.ts`));
      expect(faults(await migrate(shards, folder.path))).to.deep.equal([null]);
      return (await shards.query(0, 'SELECT schema_level, oldest_gateway FROM shard'))[0];
    };
    /** What a gateway of the first level writes. */
    const sell = async (shards: OwnShards, order_detail_id: string): Promise<void> => {
      await shards.query(
        0,
        `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity) VALUES ('sku', '${order_detail_id}', 'order', 2)`,
      );
      await shards.query(
        0,
        "UPDATE stock SET leaved_amount = leaved_amount - 2, version = version + 1 WHERE sku_id = 'sku' AND sub_row = 0 AND leaved_amount >= 2",
      );
      await shards.query(
        0,
        `INSERT INTO adjustment (sku_id, adjustment_id, delta, reason) VALUES ('sku', '${order_detail_id}', 1, NULL)`,
      );
    };

    it('lets gateways of the first level go on while the tables grow, and shuts them out before others write what they do not know', async () => {
      const shards = await make(1, false);
      await shards.query(0, 'CREATE DATABASE {schema}');
      expect(await migrateTo(shards, 1)).to.deep.equal({ schema_level: 1, oldest_gateway: 1 });
      await shards.query(
        0,
        "INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount) VALUES ('sku', 0, 9, 9)",
      );
      await sell(shards, 'before');
      expect(await migrateTo(shards, 2)).to.deep.equal({ schema_level: 2, oldest_gateway: 1 });
      await sell(shards, 'between');
      const flows = await shards.query(0, 'SELECT status, attempt, quantity, returned FROM flow');
      expect(flows).to.deep.equal([1, 2].map(() => ({ status: 'deducted', attempt: 0, quantity: 2, returned: 0 })));
      const stock = await shards.query(0, 'SELECT leaved_amount, held_amount, sale_state, sale_from FROM stock');
      expect(stock).to.deep.equal([{ leaved_amount: 5, held_amount: 0, sale_state: 'on', sale_from: null }]);
      expect(await migrateTo(shards, 3)).to.deep.equal({ schema_level: 3, oldest_gateway: 3 });
    });

    it('shuts nobody out of a shard where the tables cannot grow', async () => {
      const shards = await make(1, false);
      await shards.query(0, 'CREATE DATABASE {schema}');
      await migrateTo(shards, 1);
      await shards.query(0, 'ALTER TABLE flow DROP COLUMN status');
      expect(faults(await migrate(shards))[0]).to.match(/status/);
      expect(await shards.query(0, 'SELECT schema_level, oldest_gateway FROM shard')).to.deep.equal([
        { schema_level: 1, oldest_gateway: 1 },
      ]);
    });
  });

  describe('to a later version', () => {
    let later: TemporaryFolder;
    beforeEach(() => {
      later = temporaryFolder();
      for (const name of ALL) copyFileSync(projectPath(`migrations/${name}.ts`), join(later.path, `${name}.ts`));
    });
    afterEach(() => later.remove());

    const add = (name: string, oldestGateway: number, sql: string): string =>
      later.write(
        `${name}.ts`,
        `export const oldestGateway = ${oldestGateway};
         export const up = async (knex: any) => knex.raw('${sql}');
         export const down = async () => undefined;`,
      );
    const levels = (shards: OwnShards): Promise<unknown> =>
      shards.query(0, 'SELECT schema_level, oldest_gateway FROM shard');

    it('applies what is new in its order, keeps what is there and notes the level', async () => {
      const shards = await make(1, true);
      await shards.query(
        0,
        "INSERT INTO stock (sku_id, sub_row, opening_amount, leaved_amount) VALUES ('kept', 0, 7, 7)",
      );
      add(numbered(AFTER, 'more'), GATEWAY_LEVEL + 1, 'CREATE TABLE more LIKE next');
      add(numbered(NEXT, 'next'), 1, 'CREATE TABLE next (number INT PRIMARY KEY)');
      expect((await migrate(shards, later.path))[0])
        .to.include({ fault: null })
        .and.have.property('appliedNow')
        .eql([numbered(NEXT, 'next'), numbered(AFTER, 'more')]);
      expect(await levels(shards)).to.deep.equal([{ schema_level: AFTER, oldest_gateway: GATEWAY_LEVEL + 1 }]);
      expect(await shards.query(0, 'SELECT leaved_amount FROM stock')).to.deep.equal([{ leaved_amount: 7 }]);
    });

    it('does nothing more once its connection was ended, though it was only waiting', async () => {
      const shards = await make(1, true);
      add(numbered(NEXT, 'next'), GATEWAY_LEVEL + 1, 'CREATE TABLE next (number INT PRIMARY KEY)');
      const running = migrate(shards, later.path, 4_000);
      await eventually('it waits for gateways to notice', 10_000, async () =>
        JSON.stringify(await levels(shards)).includes(`"oldest_gateway":${GATEWAY_LEVEL + 1}`),
      );
      const ended = await command(shards, 'unlock', '--end');
      expect([ended.code, row(ended, 0)[1]], ended.stderr).to.deep.equal([
        0,
        row(ended, 0)[1]?.match(/^held by .*; it was ended, .*$/)?.[0],
      ]);
      expect(faults(await running)[0]).to.contain('nothing more is done');
      expect(await shards.query(0, "SHOW TABLES LIKE 'next'")).to.deep.equal([]);
      expect(faults(await migrate(shards, later.path))).to.deep.equal([null]);
    });

    it('warns gateways that are too old before it begins, and does not claim a level that it did not reach', async () => {
      const shards = await make(1, true);
      add(numbered(NEXT, 'next'), GATEWAY_LEVEL + 1, 'CREATE TABLE stock (number INT PRIMARY KEY)');
      expect(faults(await migrate(shards, later.path))[0]).to.match(/already exists/);
      expect(await levels(shards)).to.deep.equal([{ schema_level: GATEWAY_LEVEL, oldest_gateway: GATEWAY_LEVEL + 1 }]);
      // The lock that knex keeps after a failure is no obstacle to the one who mends it.
      expect(faults(await migrate(shards))).to.deep.equal([null]);
    });
  });
});
