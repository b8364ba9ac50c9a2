import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection } from 'mysql2/promise';
import type { Connection, RowDataPacket } from 'mysql2/promise';
import type { Login } from './ask.ts';

const STATEMENT_LIMIT_MS = 10_000;
const FOLLOW_LIMIT_MS = 20_000;
const POLL_MS = 50;

/** Seconds between tries to reach the source again, and how many: for as long as anybody plays with it. */
const RETRY_SECONDS = 1;
const RETRIES = 1_000_000;

/**
 * Makes a server follow another, from where it was: by GTIDs it knows itself what it has. Waits until it does.
 * They speak without TLS, which servers of ours have no certificates for.
 *
 * @throws when it cannot, with what it says of it
 */
export async function follow(replica: Login, source: Login): Promise<void> {
  const { host, port, user, password } = replica;
  const connection = await createConnection({ host, port, user, password });
  const tell = (sql: string, values: readonly (string | number)[] = []): Promise<unknown> =>
    connection.query({ sql, values: [...values], timeout: STATEMENT_LIMIT_MS });
  try {
    await tell('STOP REPLICA');
    await tell(
      `CHANGE REPLICATION SOURCE TO SOURCE_HOST = ?, SOURCE_PORT = ?, SOURCE_USER = ?, SOURCE_PASSWORD = ?, SOURCE_AUTO_POSITION = 1,
         GET_SOURCE_PUBLIC_KEY = 1, SOURCE_SSL = 0, SOURCE_CONNECT_RETRY = ?, SOURCE_RETRY_COUNT = ?, SOURCE_HEARTBEAT_PERIOD = 1`,
      [source.host, source.port, source.user, source.password, RETRY_SECONDS, RETRIES],
    );
    await tell('START REPLICA');
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
      throw new Error(
        `the replica does not follow ${source.host}:${source.port}: ${(fault as string | undefined) ?? 'it does not say why'}`,
      );
    }
    await sleep(POLL_MS);
  }
}
