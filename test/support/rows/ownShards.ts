import { randomBytes } from 'node:crypto';
import mysql from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import { loadShards } from '../../../src/config/shardsFile.ts';
import type { ShardConfig } from '../../../src/config/shardsFile.ts';
import { KnexMigrator } from '../../../src/mysql/migrations/migrator.ts';
import { migrateShards } from '../../../src/service/migrateShards.ts';
import type { ShardsFile } from '../../../src/config/shardsFile.ts';
import { dropSchemas } from '../../../scripts/support/dropSchemas.ts';
import { projectPath } from '../../../src/projectPath.ts';
import { stack } from '../run/setup.ts';
import { temporaryFolder } from '../run/temporary.ts';

/** Shards that a test may break: schemas of its own, spread over the shared servers, and a file that lists them. */
export interface OwnShards {
  /** `rewrite` changes the file that it names, and `load` reads that file again. */
  readonly environment: NodeJS.ProcessEnv;
  readonly initialShards: number;
  load(): Promise<readonly ShardConfig[]>;
  /** Changes the file that lists the shards. */
  rewrite(change: (file: ShardsFile) => void): void;
  /** Runs a statement on the server of a shard, in its schema when it exists. */
  query(shard: number, sql: string): Promise<RowDataPacket[]>;
  /** Drops the schemas. */
  drop(): Promise<void>;
}

export interface OwnShardsOptions {
  readonly count: number;
  /** True: the schemas are created and migrated. False: they do not exist. */
  readonly migrated: boolean;
}

export async function ownShards({ count, migrated }: OwnShardsOptions): Promise<OwnShards> {
  const { servers } = stack().cluster;
  const prefix = `stockgate_own_${randomBytes(4).toString('hex')}`;
  const folder = temporaryFolder();
  const content: ShardsFile = {
    initialShards: count,
    shards: Array.from({ length: count }, (_, shard) => {
      const { host = '', port = 0, user = '' } = servers[shard % servers.length] ?? {};
      const primary = { host, port, user, schema: `${prefix}_${shard}`, passwordVariable: 'STOCKGATE_MYSQL_PASSWORD' };
      return { name: `own-${shard}`, primary, pool: { connections: 4, waiting: 100 } };
    }),
  };
  const file = folder.write('shards.json', JSON.stringify(content));
  const environment = {
    STOCKGATE_SHARDS: file,
    STOCKGATE_MYSQL_PASSWORD: stack().environment['STOCKGATE_MYSQL_PASSWORD'],
  };
  const load = async (): Promise<readonly ShardConfig[]> => (await loadShards(file, environment)).shards;
  // The real addresses, which later changes of the file do not affect.
  const addresses = (await load()).map(({ address }) => address);

  const query: OwnShards['query'] = async (shard, sql) => {
    const address = addresses[shard];
    if (address === undefined) throw new RangeError(`there is no shard ${shard}`);
    const { host, port, user, password, schema } = address;
    const connection = await mysql.createConnection({ host, port, user, password });
    try {
      await connection.query(`USE \`${schema}\``).catch(() => undefined);
      const [rows] = await connection.query<RowDataPacket[]>(sql.replaceAll('{schema}', `\`${schema}\``));
      return rows;
    } finally {
      await connection.end();
    }
  };

  if (migrated) {
    const directory = projectPath('migrations');
    const migrator = new KnexMigrator({ addresses, initialShards: count, directory, createSchemas: true });
    const results = await migrateShards({ migrator, shardCount: count, apply: true, shardMs: 30_000 });
    const fault = results.find((result) => result.fault !== null);
    if (fault !== undefined) throw new Error(`shard ${fault.shard} was not migrated: ${fault.fault}`);
  }
  return {
    environment,
    initialShards: count,
    load,
    rewrite(change) {
      change(content);
      folder.write('shards.json', JSON.stringify(content));
    },
    query,
    async drop() {
      await dropSchemas(addresses);
      folder.remove();
    },
  };
}
