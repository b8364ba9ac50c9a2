import type { Knex } from 'knex';

/** The oldest gateway level (`src/mysql/schemaLevel.ts`) that can still work with the schema after this migration. */
export const oldestGateway = 1;

const TABLES = [
  // One row: which shard this schema is, and for whom it can be used.
  `CREATE TABLE IF NOT EXISTS shard (
     only_row       TINYINT UNSIGNED  NOT NULL DEFAULT 1 PRIMARY KEY CHECK (only_row = 1),
     shard_index    SMALLINT UNSIGNED NOT NULL,
     initial_shards SMALLINT UNSIGNED NOT NULL,
     hash_version   SMALLINT UNSIGNED NOT NULL,
     schema_level   SMALLINT UNSIGNED NOT NULL,
     oldest_gateway SMALLINT UNSIGNED NOT NULL
   ) ENGINE = InnoDB`,

  // The slots this shard owns. A write holds its slot's row shared, so a slot cannot leave under it.
  `CREATE TABLE IF NOT EXISTS slot (
     slot  SMALLINT UNSIGNED NOT NULL PRIMARY KEY CHECK (slot < 1024),
     epoch INT UNSIGNED      NOT NULL
   ) ENGINE = InnoDB`,

  // Ids are bytes: no collation folds case or pads blanks.
  `CREATE TABLE IF NOT EXISTS stock (
     sku_id         VARBINARY(64)     NOT NULL,
     sub_row        SMALLINT UNSIGNED NOT NULL,
     opening_amount BIGINT UNSIGNED   NOT NULL,
     leaved_amount  BIGINT UNSIGNED   NOT NULL CHECK (leaved_amount <= 9007199254740991),
     version        BIGINT UNSIGNED   NOT NULL DEFAULT 0,
     created_at     DATETIME(6)       NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
     PRIMARY KEY (sku_id, sub_row)
   ) ENGINE = InnoDB`,

  // One row per deduction. The key is the idempotency key and the primary key, so that a repeated id is found without
  // gap locks on a second index.
  `CREATE TABLE IF NOT EXISTS flow (
     sku_id          VARBINARY(64)     NOT NULL,
     order_detail_id VARBINARY(64)     NOT NULL,
     order_id        VARBINARY(64)     NOT NULL,
     quantity        INT UNSIGNED      NOT NULL CHECK (quantity BETWEEN 1 AND 1000000),
     returned        INT UNSIGNED      NOT NULL DEFAULT 0,
     status          ENUM('deducted', 'pending', 'cancelled') NOT NULL DEFAULT 'deducted',
     sub_row         SMALLINT UNSIGNED NOT NULL DEFAULT 0,
     created_at      DATETIME(6)       NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
     PRIMARY KEY (sku_id, order_detail_id),
     CHECK (returned <= quantity)
   ) ENGINE = InnoDB`,

  // One row per restock or write-off.
  `CREATE TABLE IF NOT EXISTS adjustment (
     sku_id        VARBINARY(64) NOT NULL,
     adjustment_id VARBINARY(64) NOT NULL,
     delta         BIGINT        NOT NULL,
     reason        VARCHAR(255)  CHARACTER SET utf8mb4 NULL,
     created_at    DATETIME(6)   NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
     PRIMARY KEY (sku_id, adjustment_id)
   ) ENGINE = InnoDB`,
];

/** DDL commits by itself, so every statement can be run again after a crash in the middle. */
export async function up(knex: Knex): Promise<void> {
  for (const table of TABLES) await knex.raw(table);
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only');
}
