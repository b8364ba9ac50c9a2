import { setTimeout as sleep } from 'node:timers/promises';
import { STATE_TABLES } from '../../../src/core/restore/stateRows.ts';
import type { OwnShards } from './ownShards.ts';

/** Columns that only count changes, or whose value holds for a moment. */
const TRANSIENT = ['version', 'revision', 'lease_token', 'lease_until'];

/** Copies of whole shards, in schemas beside them, used as backups and as reference copies. */
export class ShardCopies {
  readonly #own: OwnShards;
  readonly #schemas: readonly string[];
  readonly #made = new Map<string, number>();

  private constructor(own: OwnShards, schemas: readonly string[]) {
    this.#own = own;
    this.#schemas = schemas;
  }

  static async of(own: OwnShards): Promise<ShardCopies> {
    return new ShardCopies(
      own,
      (await own.load()).map(({ address }) => address.schema),
    );
  }

  /** The schema of a copy. */
  schemaOf(shard: number, name: string): string {
    return `${this.#schemas[shard]}_${name}`;
  }

  async copy(shard: number, name: string): Promise<void> {
    const schema = this.schemaOf(shard, name);
    await this.#own.query(shard, `DROP DATABASE IF EXISTS ${schema}`);
    await this.#own.query(shard, `CREATE DATABASE ${schema}`);
    this.#made.set(schema, shard);
    for (const table of await this.#tablesOf(shard)) {
      await this.#own.query(shard, `CREATE TABLE ${schema}.${table} LIKE ${table}`);
      await this.#own.query(shard, `INSERT INTO ${schema}.${table} SELECT * FROM ${table}`);
    }
  }

  /**
   * Replaces the rows of a shard with those of a copy. The holds become so young that no gateway completes them before
   * it has detected the restore.
   *
   * @param except tables that are not replaced
   */
  async restore(shard: number, name: string, except: readonly string[] = []): Promise<void> {
    const from = this.schemaOf(shard, name);
    await this.#own.query(shard, `UPDATE ${from}.cart_hold SET created_at = CURRENT_TIMESTAMP(6) + INTERVAL 4 SECOND`);
    for (const table of (await this.#tablesOf(shard)).filter((each) => !except.includes(each))) {
      await this.#own.query(shard, `DELETE FROM ${table}`);
      // A gateway may have written a row between the two statements.
      await this.#own.query(shard, `REPLACE INTO ${table} SELECT * FROM ${from}.${table}`);
    }
  }

  /**
   * Loads a copy as a client loads a dump: one table after the other, by name, each dropped, created and filled.
   *
   * @param pauseMs the pause after each step, in which gateways continue
   */
  async load(shard: number, name: string, pauseMs: number): Promise<void> {
    const from = this.schemaOf(shard, name);
    for (const table of (await this.#tablesOf(shard)).sort()) {
      for (const step of [
        `DROP TABLE ${table}`,
        `CREATE TABLE ${table} LIKE ${from}.${table}`,
        `INSERT INTO ${table} SELECT * FROM ${from}.${table}`,
      ]) {
        await this.#own.query(shard, step);
        await sleep(pauseMs);
      }
    }
  }

  /** Turns a sale in a copy into a hold of its cart. @param name absent: on the shard itself */
  async holdIn(shard: number, name: string | undefined, sku_id: string, order_id: string): Promise<void> {
    const schema = name === undefined ? this.#schemas[shard] : this.schemaOf(shard, name);
    const own = `WHERE sku_id = '${sku_id}' AND order_id = '${order_id}'`;
    await this.#own.query(
      shard,
      `INSERT INTO ${schema}.cart_hold (sku_id, order_detail_id, order_id, attempt, transaction_id, coordinator)
       SELECT sku_id, order_detail_id, order_id, attempt, transaction_id, coordinator FROM ${schema}.flow ${own}`,
    );
    await this.#own.query(
      shard,
      `UPDATE ${schema}.stock
          SET held_amount = held_amount + (SELECT SUM(quantity) FROM ${schema}.flow ${own})
        WHERE sku_id = '${sku_id}' AND sub_row = 0`,
    );
    await this.#own.query(shard, `UPDATE ${schema}.flow SET status = 'pending' ${own}`);
  }

  /** All rows of a shard, or of a copy of it, as one line each. */
  async booksOf(shard: number, name?: string): Promise<string[]> {
    const books: string[] = [];
    const from = name === undefined ? '' : `${this.schemaOf(shard, name)}.`;
    for (const table of STATE_TABLES) {
      const rows = await this.#own.query(shard, `SELECT * FROM ${from}${table}`);
      const cells = rows.map((row) =>
        Object.entries(row).flatMap(([column, cell]) =>
          TRANSIENT.includes(column) ? [] : [Buffer.isBuffer(cell) ? cell.toString('latin1') : (cell as unknown)],
        ),
      );
      books.push(...cells.map((row) => JSON.stringify([shard, table, ...row])));
    }
    return books.sort();
  }

  async drop(): Promise<void> {
    for (const [schema, shard] of this.#made) await this.#own.query(shard, `DROP DATABASE IF EXISTS ${schema}`);
  }

  async #tablesOf(shard: number): Promise<string[]> {
    return (
      await this.#own.query(
        shard,
        `SELECT table_name AS name FROM information_schema.tables
          WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'`,
      )
    ).map(({ name }) => String(name));
  }
}
