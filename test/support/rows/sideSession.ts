import mysql from 'mysql2/promise';
import type { Address } from '../../../src/mysql/connection/connection.ts';
import { stack } from '../run/setup.ts';

/** The address of a shard of the shared stack. */
export function addressOf(shard: number): Address {
  const address = stack().shards[shard]?.address;
  if (address === undefined) throw new RangeError(`there is no shard ${shard}`);
  return address;
}

/** A separate session on a shard of the shared stack, for locks, kills and changes of settings. */
export function sideSession(shard: number): Promise<mysql.Connection> {
  const { host, port, user, password, schema } = addressOf(shard);
  return mysql.createConnection({ host, port, user, password, database: schema });
}
