import type { Knex } from 'knex';

/** The oldest gateway level (`src/mysql/schemaLevel.ts`) that can still work with the schema after this migration: nothing that it uses changes. */
export const oldestGateway = 6;

const TABLES = [
  // How far each shard has come, in microseconds since 1970: its own row is moved on by gateways while it sells, the other rows say
  // what the other shards had reached when somebody last looked. A shard that shows less than the others remember of it was restored.
  `CREATE TABLE IF NOT EXISTS generation (
     shard_index SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
     reached     BIGINT UNSIGNED   NOT NULL
   ) ENGINE = InnoDB`,
];

export async function up(knex: Knex): Promise<void> {
  for (const statement of TABLES) await knex.raw(statement);
  // An older dump that was loaded over the schema has left them standing; nobody below this level moves them on.
  await knex.raw('DELETE FROM generation');
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only');
}
