import { expect } from 'chai';
import type mysql from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import type { SqlValue } from '../../../src/mysql/connection/connection.ts';

export interface Statement {
  readonly sql: string;
  readonly values: SqlValue[];
}

/** The work of a server for a statement, by its own counters. */
export interface Cost {
  /** Rows that the statement returned. */
  readonly rows: number;
  /** Rows and keys that were read for it. */
  readonly read: number;
  readonly sorted: number;
  readonly temporaryTables: number;
}

/** Runs a statement and counts its cost. The session must do nothing else meanwhile. */
export async function costOf(session: mysql.Connection, { sql, values }: Statement): Promise<Cost> {
  const counted = async (work: () => Promise<number>): Promise<Cost> => {
    await session.query('FLUSH STATUS');
    const rows = await work();
    const [counters] = await session.query<RowDataPacket[]>('SHOW SESSION STATUS');
    const sum = (pattern: RegExp): number =>
      counters
        .filter(({ Variable_name }) => pattern.test(String(Variable_name)))
        .reduce((total, { Value }) => total + Number(Value), 0);
    return {
      rows,
      read: sum(/^Handler_read_/),
      sorted: sum(/^Sort_(range|rows|scan|merge_passes)$/),
      temporaryTables: sum(/^Created_tmp_(disk_)?tables$/),
    };
  };
  // The statement that reads the counters counts too.
  const idle = await counted(async () => 0);
  const measured = await counted(async () => (await session.query<RowDataPacket[]>(sql, values))[0].length);
  return {
    rows: measured.rows,
    read: measured.read - idle.read,
    sorted: measured.sorted - idle.sorted,
    temporaryTables: measured.temporaryTables - idle.temporaryTables,
  };
}

/** A line of a plan in its tabular form. */
export interface PlanLine {
  readonly table: string | null;
  readonly type: string | null;
  readonly key: string | null;
  readonly Extra: string | null;
}

/** The plan in its tabular form. MySQL has other forms too, and MariaDB has no name for this one. */
export async function planOf(session: mysql.Connection, { sql, values }: Statement): Promise<PlanLine[]> {
  const explain = (form: string): Promise<[RowDataPacket[], unknown]> =>
    session.query<RowDataPacket[]>(`EXPLAIN ${form} ${sql}`, values);
  const [lines] = await explain('FORMAT=TRADITIONAL').catch(() => explain(''));
  return lines as PlanLine[];
}

/** Expects that every table is read by a key, that nothing is sorted, and that no temporary table is used. */
export function expectIndexed(plan: readonly PlanLine[]): void {
  const text = JSON.stringify(plan, null, 1);
  // A table has no name when the server already found that there is no such row.
  for (const { table, type, key, Extra } of plan.filter((line) => line.table !== null)) {
    expect(type, text).not.to.be.oneOf(['ALL', 'index']);
    expect(table, text).not.to.match(/^</);
    expect(key, text).to.be.a('string');
    expect(Extra ?? '', text).not.to.match(/filesort|temporary/);
  }
}
