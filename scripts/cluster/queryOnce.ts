import { createConnection } from 'mysql2';
import type { RowDataPacket } from 'mysql2';

export interface Login {
  host: string;
  port: number;
  user: string;
  password: string;
}

/**
 * Opens a connection, sends one statement and closes the connection.
 *
 * @param limitMs for all of it; a frozen server accepts connections and sends nothing.
 * @returns the first row.
 */
export function queryOnce(login: Login, question: string, limitMs: number): Promise<RowDataPacket> {
  return new Promise((resolve, reject) => {
    const connection = createConnection({
      host: login.host,
      port: login.port,
      user: login.user,
      password: login.password,
    });
    const finish = (error: Error | null, row?: RowDataPacket): void => {
      clearTimeout(timer);
      connection.destroy();
      if (row !== undefined) resolve(row);
      else reject(error ?? new Error('no row'));
    };
    const timer = setTimeout(() => finish(new Error(`no answer within ${limitMs} ms`)), limitMs);
    connection.on('error', (error: Error) => finish(error));
    connection.query<RowDataPacket[]>(question, (error, rows) => finish(error, rows?.[0]));
  });
}
