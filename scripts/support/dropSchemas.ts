import mysql from 'mysql2/promise';
import type { Address } from '../../src/mysql/connection/connection.ts';

/** Removes the schemas of a run from servers that the run did not start. */
export async function dropSchemas(addresses: readonly Address[]): Promise<void> {
  for (const { host, port, user, password, schema } of addresses) {
    const connection = await mysql.createConnection({ host, port, user, password });
    await connection.query('DROP DATABASE IF EXISTS ??', [schema]);
    await connection.end();
  }
}
