import type { Knex } from 'knex';

/**
 * The oldest gateway level (`src/mysql/migrations/schemaLevel.ts`) that can still work with the schema after this
 * migration. Gateways that do not know the table leave it alone.
 */
export const oldestGateway = 11;

/**
 * The position of the continuous reconciliation of this shard, and the right of one process to continue it. The ids
 * are those of the last SKU and the last order record that were compared; null: a round begins. The differences that
 * were there are JSON.
 */
const WALK = `
CREATE TABLE IF NOT EXISTS reconciliation_walk (
  only_row TINYINT UNSIGNED NOT NULL DEFAULT 1,
  lease_token BINARY(16) NULL,
  lease_until DATETIME(6) NULL,
  after_sku VARBINARY(64) NULL,
  after_record BINARY(16) NULL,
  round_skus BIGINT UNSIGNED NOT NULL DEFAULT 0,
  last_round_skus BIGINT UNSIGNED NULL,
  last_round_at DATETIME(6) NULL,
  open_differences MEDIUMTEXT CHARACTER SET utf8mb4 NULL,
  PRIMARY KEY (only_row),
  CHECK (only_row = 1)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4`;

export async function up(knex: Knex): Promise<void> {
  await knex.raw(WALK);
  await knex.raw('INSERT IGNORE INTO reconciliation_walk (only_row) VALUES (1)');
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only');
}
