import mysql from 'mysql2/promise';
import type { Address } from '../../src/mysql/connection.ts';
import { stack } from './setup.ts';

/** Where a shard of the shared stack is found. */
export function addressOf(shard: number): Address {
  const address = stack().shards[shard]?.address;
  if (address === undefined) throw new RangeError(`there is no shard ${shard}`);
  return address;
}

/** A session of somebody else on a shard of the shared stack: it locks, kills and changes settings. */
export function sideSession(shard: number): Promise<mysql.Connection> {
  const { host, port, user, password, schema } = addressOf(shard);
  return mysql.createConnection({ host, port, user, password, database: schema });
}
