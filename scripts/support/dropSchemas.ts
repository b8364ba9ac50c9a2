import mysql from 'mysql2/promise';
import type { Address } from '../../src/mysql/connection.ts';

/** Removes schemas that a run made on servers which are not its own. */
export async function dropSchemas(addresses: readonly Address[]): Promise<void> {
  for (const { host, port, user, password, schema } of addresses) {
    const connection = await mysql.createConnection({ host, port, user, password });
    await connection.query('DROP DATABASE IF EXISTS ??', [schema]);
    await connection.end();
  }
}
