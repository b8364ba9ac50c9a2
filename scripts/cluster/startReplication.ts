import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Login } from './queryOnce.ts';

const STATEMENT_LIMIT_MS = 10_000;
const FOLLOW_LIMIT_MS = 20_000;
const POLL_MS = 50;

/** Seconds between attempts to reach the source again, and their number: enough for any run. */
const RETRY_SECONDS = 1;
const RETRIES = 1_000_000;

/**
 * Makes a server a replica of another one, from its last position, which its GTIDs give. Waits until replication runs.
 * The connection has no TLS, because our servers have no certificates.
 *
 * @throws when replication does not start, with the error of the replica
 */
export async function startReplication(replica: Login, source: Login): Promise<void> {
  const { host, port, user, password } = replica;
  const connection = await createConnection({ host, port, user, password });
  const execute = (sql: string, values: readonly (string | number)[] = []): Promise<unknown> =>
    connection.query({ sql, values: [...values], timeout: STATEMENT_LIMIT_MS });
  try {
    await execute('STOP REPLICA');
    await execute(
      `CHANGE REPLICATION SOURCE TO SOURCE_HOST = ?, SOURCE_PORT = ?, SOURCE_USER = ?, SOURCE_PASSWORD = ?,
         SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_SSL = 0, SOURCE_CONNECT_RETRY = ?,
         SOURCE_RETRY_COUNT = ?, SOURCE_HEARTBEAT_PERIOD = 1`,
      [source.host, source.port, source.user, source.password, RETRY_SECONDS, RETRIES],
    );
    await execute('START REPLICA');
    await untilFollowing(connection, source);
  } finally {
    connection.destroy();
  }
}

async function untilFollowing(connection: Connection, source: Login): Promise<void> {
  const deadline = Date.now() + FOLLOW_LIMIT_MS;
  for (;;) {
    const [rows] = await connection.query<RowDataPacket[]>({ sql: 'SHOW REPLICA STATUS', timeout: STATEMENT_LIMIT_MS });
    const status: Partial<Record<string, unknown>> = rows[0] ?? {};
    if (status.Replica_IO_Running === 'Yes' && status.Replica_SQL_Running === 'Yes') return;
    const stopped = status.Replica_SQL_Running === 'No' || status.Replica_IO_Running === 'No';
    if (stopped || Date.now() > deadline) {
      const fault = [status.Last_SQL_Error, status.Last_IO_Error].find(
        (text) => typeof text === 'string' && text !== '',
      );
      const reason = (fault as string | undefined) ?? 'it reports no error';
      throw new Error(`the replica does not follow ${source.host}:${source.port}: ${reason}`);
    }
    await sleep(POLL_MS);
  }
}
