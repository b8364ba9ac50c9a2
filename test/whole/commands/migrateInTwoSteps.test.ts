import { expect } from 'chai';
import { isBehind } from '../../../src/commands/migrate/schemaReport.ts';
import { GATEWAY_LEVEL } from '../../../src/mysql/migrations/schemaLevel.ts';
import { eventually } from '../../support/run/eventually.ts';
import { temporaryFolder } from '../../support/run/temporary.ts';
import type { TemporaryFolder } from '../../support/run/temporary.ts';
import { ownShards } from '../../support/rows/ownShards.ts';
import type { OwnShards } from '../../support/rows/ownShards.ts';
import {
  addMigration,
  ALL,
  copyMigrations,
  EXPANDED_LEVEL,
  faultsOf,
  LEVEL,
  levelsOf,
  migrate,
  migrateCommand as command,
  migrateTo,
  NEXT,
  numbered,
  rowOf,
  WAITING,
} from '../../support/systems/migrations.ts';

const NEWEST = ALL.length;
/** The time that gateways have to stop, in a run of the command. */
const NOTICED_MS = 8_000;
const LINE =
  /^\S.* waits? on (\d+) of (\d+) shards, and will .* below level 11\. .*`npm run migrate -- up --shut-out-older`$/gm;
/** Of the table that the command prints. */
const WAIT = `waiting: ${WAITING.join(', ')}`;

describe('a migration that shuts out the version before', () => {
  let shards: OwnShards;
  let folder: TemporaryFolder;

  beforeEach(async () => {
    folder = temporaryFolder();
    shards = await ownShards({ count: 2, migrated: false });
    await Promise.all([0, 1].map((shard) => shards.query(shard, 'CREATE DATABASE {schema}')));
    expect(faultsOf(await migrateTo(shards, EXPANDED_LEVEL - 1, folder))).to.deep.equal([null, null]);
    copyMigrations(ALL, folder.path);
  });
  afterEach(async () => {
    await shards.drop();
    folder.remove();
  });

  /** Removes what the first run of a shard writes last: until then no gateway serves the shard. */
  const makeNew = async (shard: number): Promise<void> => {
    for (const table of ['slot', 'shard']) await shards.query(shard, `DELETE FROM ${table}`);
  };

  it('waits on shards in use, which are up to date without it, until an option applies it', async () => {
    const before = await levelsOf(shards);
    const expanded = numbered(EXPANDED_LEVEL, 'order_records');
    const behind = await command(shards, 'status');
    const level = String(EXPANDED_LEVEL);
    expect([behind.code, rowOf(behind, 0)], behind.stderr).to.deep.equal([
      1,
      ['own-0', String(EXPANDED_LEVEL - 1), '1', '512', `behind; ${WAIT}`],
    ]);
    expect(behind.stderr).to.contain('run `npm run migrate -- up` ');

    const up = await command(shards, 'up');
    expect([up.code, rowOf(up, 0)], up.stderr).to.deep.equal([
      0,
      ['own-0', level, '0', '512', `applied ${expanded}; ${WAIT}`],
    ]);
    expect(before).to.deep.equal([{ schema_level: EXPANDED_LEVEL - 1, oldest_gateway: 6 }]);
    expect(await levelsOf(shards)).to.deep.equal([{ schema_level: EXPANDED_LEVEL, oldest_gateway: 6 }]);
    for (const again of [up, await command(shards, 'up'), await command(shards, 'status')]) {
      expect(again.code, again.stderr).to.equal(0);
      // One line for all shards.
      expect([...again.stdout.matchAll(LINE)].map(([, waiting, all]) => [waiting, all])).to.deep.equal([['2', '2']]);
      expect(again.stdout.match(LINE)?.[0]).to.match(new RegExp(`^${WAITING[0]}`));
      if (again !== up) expect(rowOf(again, 1)).to.deep.equal(['own-1', level, '0', '512', `up to date; ${WAIT}`]);
    }
    expect(await levelsOf(shards)).to.deep.equal([{ schema_level: EXPANDED_LEVEL, oldest_gateway: 6 }]);

    const startedMs = performance.now();
    const last = await command(shards, 'up', '--shut-out-older');
    expect(performance.now() - startedMs).to.be.above(NOTICED_MS);
    expect([last.code, rowOf(last, 0)], last.stderr).to.deep.equal([
      0,
      ['own-0', LEVEL, '0', '512', `applied ${WAITING.join(', ')}`],
    ]);
    expect(last.stdout).to.not.match(LINE);
    expect(await levelsOf(shards)).to.deep.equal([{ schema_level: NEWEST, oldest_gateway: 11 }]);
    for (const args of [['status'], ['up'], ['up', '--shut-out-older']]) {
      const again = await command(shards, ...args);
      expect([again.code, rowOf(again, 0).at(-1)], again.stderr).to.deep.equal([0, 'up to date']);
    }
  });

  it('goes with all others on a new shard, at once, also when its first run was killed', async () => {
    await makeNew(1);
    const startedMs = performance.now();
    const up = await command(shards, 'up');
    expect(up.code, up.stderr).to.equal(0);
    expect(performance.now() - startedMs).to.be.below(NOTICED_MS);
    expect(rowOf(up, 0).slice(1, 3)).to.deep.equal([String(EXPANDED_LEVEL), '0']);
    expect(rowOf(up, 1).slice(1, 4)).to.deep.equal([LEVEL, '0', '512']);
    expect([...up.stdout.matchAll(LINE)].map(([, waiting, all]) => [waiting, all])).to.deep.equal([['1', '2']]);
    expect(await shards.query(1, 'SELECT schema_level, oldest_gateway FROM shard')).to.deep.equal([
      { schema_level: NEWEST, oldest_gateway: 11 },
    ]);
  });

  it('shuts gateways out first, and raises the level when they had time to stop', async () => {
    await migrate(shards, folder.path);
    const startedMs = performance.now();
    const running = migrate(shards, folder.path, 2_000, true);
    await eventually('gateways are shut out', 2_000, async () =>
      JSON.stringify(await levelsOf(shards)).includes('"oldest_gateway":11'),
    );
    expect(await levelsOf(shards)).to.deep.equal([{ schema_level: EXPANDED_LEVEL, oldest_gateway: 11 }]);
    expect(faultsOf(await running)).to.deep.equal([null, null]);
    expect(performance.now() - startedMs).to.be.above(2_000);
    expect(await levelsOf(shards)).to.deep.equal([{ schema_level: NEWEST, oldest_gateway: 11 }]);
  });

  it('waits again, and then for gateways again, after a run that was ended while it waited for them', async () => {
    await migrate(shards, folder.path);
    const ended = migrate(shards, folder.path, 4_000, true);
    await eventually('gateways are shut out', 4_000, async () =>
      JSON.stringify(await levelsOf(shards)).includes('"oldest_gateway":11'),
    );
    await command(shards, 'unlock', '--end');
    expect(faultsOf(await ended)[0]).to.contain('nothing more is done');
    expect(await levelsOf(shards)).to.deep.equal([{ schema_level: EXPANDED_LEVEL, oldest_gateway: 11 }]);

    const [plain] = await migrate(shards, folder.path);
    expect(plain?.status?.waiting[0]).to.deep.equal({ name: WAITING[0], oldestGateway: 11 });
    expect(await levelsOf(shards)).to.deep.equal([{ schema_level: EXPANDED_LEVEL, oldest_gateway: 11 }]);

    const startedMs = performance.now();
    const [again] = await migrate(shards, folder.path, 1_000, true);
    expect(performance.now() - startedMs).to.be.above(1_000);
    expect(again?.appliedNow).to.deep.equal(WAITING);
    expect(await levelsOf(shards)).to.deep.equal([{ schema_level: NEWEST, oldest_gateway: 11 }]);
    const restartedMs = performance.now();
    expect((await migrate(shards, folder.path, 20_000, true))[0]?.appliedNow).to.deep.equal([]);
    expect(performance.now() - restartedMs).to.be.below(20_000);
  });

  it('makes later ones wait too, and leaves a shard behind for gateways that need one of them', async () => {
    const next = numbered(NEXT, 'next');
    addMigration(folder, next, 11, 'CREATE TABLE next (number INT PRIMARY KEY)');
    const [waits] = await migrate(shards, folder.path);
    expect(waits?.status?.waiting.map(({ name }) => name)).to.deep.equal([...WAITING, next]);
    expect(await levelsOf(shards)).to.deep.equal([{ schema_level: EXPANDED_LEVEL, oldest_gateway: 6 }]);
    const status = waits?.status ?? expect.fail('a status');
    expect([GATEWAY_LEVEL, NEWEST, NEXT].map((level) => isBehind(status, level))).to.deep.equal([false, true, true]);

    expect((await migrate(shards, folder.path, 100, true))[0]?.appliedNow).to.deep.equal([...WAITING, next]);
    expect(await levelsOf(shards)).to.deep.equal([{ schema_level: NEXT, oldest_gateway: 11 }]);
  });
});
