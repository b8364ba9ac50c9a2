import type { Knex } from 'knex';

/**
 * The oldest gateway level (`src/mysql/schemaLevel.ts`) that can still work with the schema after this migration: gateways
 * of the first level go on while these tables grow, because every column has a default and nothing is written here yet.
 */
export const oldestGateway = 1;

const TABLES = [
  // One row per return of a deduction, and one with an empty return_id where a cancellation gave back the rest.
  `CREATE TABLE IF NOT EXISTS flow_return (
     sku_id          VARBINARY(64) NOT NULL,
     order_detail_id VARBINARY(64) NOT NULL,
     return_id       VARBINARY(64) NOT NULL,
     quantity        INT UNSIGNED  NOT NULL CHECK (quantity > 0),
     created_at      DATETIME(6)   NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
     PRIMARY KEY (sku_id, order_detail_id, return_id),
     KEY by_time (sku_id, created_at)
   ) ENGINE = InnoDB`,

  // One row per attempt to sell an order over several shards, on the shard that owns the order's slot. Its state is the
  // cart's commit point; a row is never used for a second attempt.
  `CREATE TABLE IF NOT EXISTS cart (
     order_id    VARBINARY(64) NOT NULL,
     attempt     INT UNSIGNED  NOT NULL,
     token       BINARY(16)    NOT NULL,
     state       ENUM('open', 'committed', 'aborted') NOT NULL DEFAULT 'open',
     order_lines MEDIUMBLOB    NOT NULL,
     created_at  DATETIME(6)   NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
     decided_at  DATETIME(6)   NULL,
     PRIMARY KEY (order_id, attempt),
     KEY by_state (state, created_at)
   ) ENGINE = InnoDB`,

  // One row per flow that is held and not settled yet; a small table, so that what is left over is quickly found.
  `CREATE TABLE IF NOT EXISTS cart_hold (
     sku_id          VARBINARY(64) NOT NULL,
     order_detail_id VARBINARY(64) NOT NULL,
     order_id        VARBINARY(64) NOT NULL,
     attempt         INT UNSIGNED  NOT NULL,
     created_at      DATETIME(6)   NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
     PRIMARY KEY (sku_id, order_detail_id),
     KEY by_time (created_at)
   ) ENGINE = InnoDB`,
];

/** Columns by table; each is added where it is missing. */
const COLUMNS: readonly (readonly [table: string, column: string, definition: string])[] = [
  // Units that carts hold and that are not in leaved_amount any more.
  ['stock', 'held_amount', 'BIGINT UNSIGNED NOT NULL DEFAULT 0'],
  ['stock', 'sale_state', "ENUM('on', 'paused') NOT NULL DEFAULT 'on'"],
  ['stock', 'sale_from', 'DATETIME(6) NULL'],
  // The attempt of the cart that holds or held the flow; 0 for an order on one shard.
  ['flow', 'attempt', 'INT UNSIGNED NOT NULL DEFAULT 0'],
];

/** Pages of a SKU's journal, newest first. */
const INDEXED = ['flow', 'adjustment'];

/**
 * DDL commits by itself, so every step looks first whether it is done: a run that died in the middle is run again. Every
 * step says how it is to be done, so that a server which would have to copy the table refuses instead.
 */
export async function up(knex: Knex): Promise<void> {
  for (const table of TABLES) await knex.raw(table);
  for (const [table, column, definition] of COLUMNS) {
    if (!(await knex.schema.hasColumn(table, column))) await knex.raw(`ALTER TABLE ${table} ADD COLUMN ${column} ${definition}, ALGORITHM = INSTANT`);
  }
  // `pending`: held by a cart. `void`: a hold that was undone, or that is to be refused when it comes. At the end, where it
  // changes no row.
  if (!(await hasStatus(knex, 'void'))) {
    await knex.raw("ALTER TABLE flow MODIFY status ENUM('deducted', 'pending', 'cancelled', 'void') NOT NULL DEFAULT 'deducted', ALGORITHM = INSTANT");
  }
  await allowTombstones(knex);
  for (const table of INDEXED) {
    if (!(await hasIndex(knex, table))) await knex.raw(`ALTER TABLE ${table} ADD KEY by_time (sku_id, created_at), ALGORITHM = INPLACE, LOCK = NONE`);
  }
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only');
}

/**
 * What is cancelled before it was deducted has no quantity; the first migration asked for at least 1. No other bound comes in
 * its place: MySQL copies the table for it.
 */
async function allowTombstones(knex: Knex): Promise<void> {
  // MariaDB keeps the check with the column; for MySQL this changes nothing.
  await knex.raw('ALTER TABLE flow MODIFY quantity INT UNSIGNED NOT NULL, ALGORITHM = INSTANT');
  const [rows] = (await knex.raw(
    "SELECT CONSTRAINT_NAME AS name FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE() AND CHECK_CLAUSE LIKE '%quantity%between 1 and%'",
  )) as [{ name: string }[]];
  for (const { name } of rows) await knex.raw('ALTER TABLE flow DROP CONSTRAINT ??, ALGORITHM = INSTANT', [name]);
}

/** Later migrations add words, and to take one away would copy the table. */
async function hasStatus(knex: Knex, word: string): Promise<boolean> {
  const [rows] = (await knex.raw("SHOW COLUMNS FROM flow LIKE 'status'")) as [{ Type: string }[]];
  return rows.some(({ Type }) => Type.includes(`'${word}'`));
}

async function hasIndex(knex: Knex, table: string): Promise<boolean> {
  const [rows] = (await knex.raw("SHOW INDEX FROM ?? WHERE Key_name = 'by_time'", [table])) as [unknown[]];
  return rows.length > 0;
}
