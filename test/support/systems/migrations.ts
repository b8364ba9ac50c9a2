import { copyFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { KnexMigrator } from '../../../src/mysql/migrations/migrator.ts';
import { migrateShards } from '../../../src/service/migrateShards.ts';
import type { MigrationResult } from '../../../src/service/migrateShards.ts';
import { projectPath } from '../../../src/projectPath.ts';
import { runFile } from '../run/command.ts';
import type { Finished } from '../run/command.ts';
import type { OwnShards } from '../rows/ownShards.ts';
import type { TemporaryFolder } from '../run/temporary.ts';

/** The names of the migrations of this checkout, in their order. Those that tests add follow them. */
export const ALL = readdirSync(projectPath('migrations'))
  .map((file) => file.replace(/\.ts$/, ''))
  .sort();
/** The level of a shard with all of them, as the command prints it. */
export const LEVEL = String(ALL.length);
export const [NEXT, AFTER] = [ALL.length + 1, ALL.length + 2];
export const MIGRATION_APPLIED = `applied ${ALL.join(', ')}`;

/** The name of a migration of a level. */
export function numbered(level: number, name: string): string {
  return `${String(level).padStart(4, '0')}_${name}`;
}

/** Copies migrations of this checkout into a folder. */
export function copyMigrations(names: readonly string[], directory: string): void {
  for (const name of names) copyFileSync(projectPath(`migrations/${name}.ts`), join(directory, `${name}.ts`));
}

/** The first migration of this checkout that waits on shards in use, and those after it. */
export const WAITING = ALL.slice(ALL.indexOf('0012_records_only'));
/** The level of shards on which they wait. */
export const EXPANDED_LEVEL = ALL.length - WAITING.length;

/** Brings shards to a level as the checkout of that level did, with its migrations in a folder. */
export async function migrateTo(shards: OwnShards, level: number, folder: TemporaryFolder): Promise<MigrationResult[]> {
  copyMigrations(ALL.slice(0, level), folder.path);
  return migrate(shards, folder.path);
}

/** Runs the command for these shards. */
export function migrateCommand(shards: OwnShards, ...args: readonly string[]): Promise<Finished> {
  return runFile('src/commands/migrate.ts', args, shards.environment);
}

/** The cells of a shard's row in the table that the command prints. */
export function rowOf({ stdout }: Finished, shard: number): string[] {
  const line = stdout.split('\n').find((candidate) => candidate.includes(`own-${shard} `)) ?? '';
  return line
    .split('│')
    .slice(1, -1)
    .map((cell) => cell.trim());
}

/** Migrates these shards in this process, with the migrations of a folder. */
export async function migrate(
  shards: OwnShards,
  directory = projectPath('migrations'),
  noticedMs = 100,
  shutsOutOlder = false,
): Promise<MigrationResult[]> {
  const addresses = (await shards.load()).map(({ address }) => address);
  const migrator = new KnexMigrator({
    addresses,
    initialShards: shards.initialShards,
    directory,
    createSchemas: false,
    noticedMs,
  });
  return migrateShards({ migrator, shardCount: addresses.length, apply: true, shutsOutOlder, shardMs: 30_000 });
}

export function faultsOf(results: readonly MigrationResult[]): (string | null)[] {
  return results.map(({ fault }) => fault);
}

/** Runs the statements by which a gateway of the first level sells two units and restocks one. */
export async function sellAtFirstLevel(shards: OwnShards, order_detail_id: string): Promise<void> {
  await shards.query(
    0,
    `INSERT INTO flow (sku_id, order_detail_id, order_id, quantity) VALUES ('sku', '${order_detail_id}', 'order', 2)`,
  );
  await shards.query(
    0,
    `UPDATE stock SET leaved_amount = leaved_amount - 2, version = version + 1
     WHERE sku_id = 'sku' AND sub_row = 0 AND leaved_amount >= 2`,
  );
  await shards.query(
    0,
    `INSERT INTO adjustment (sku_id, adjustment_id, delta, reason) VALUES ('sku', '${order_detail_id}', 1, NULL)`,
  );
}

/** Writes a migration of one statement into a folder. */
export function addMigration(folder: TemporaryFolder, name: string, oldestGateway: number, sql: string): void {
  folder.write(
    `${name}.ts`,
    `export const oldestGateway = ${oldestGateway};
     export const up = async (knex: any) => knex.raw('${sql}');
     export const down = async () => undefined;`,
  );
}

/** The level of shard 0, and the oldest gateway that it serves, as a list of one row. */
export function levelsOf(shards: OwnShards): Promise<readonly unknown[]> {
  return shards.query(0, 'SELECT schema_level, oldest_gateway FROM shard');
}
