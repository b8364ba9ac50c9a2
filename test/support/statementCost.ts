import { expect } from 'chai';
import type mysql from 'mysql2/promise';
import type { RowDataPacket } from 'mysql2/promise';
import type { SqlValue } from '../../src/mysql/connection.ts';

export interface Statement {
  readonly sql: string;
  readonly values: SqlValue[];
}

/** What a server did for a statement, by its own counters. */
export interface Cost {
  /** Rows that the statement brought. */
  readonly rows: number;
  /** Rows and keys that were read for it. */
  readonly read: number;
  readonly sorted: number;
  readonly temporaryTables: number;
}

/** Runs a statement and counts, in a session that does nothing else meanwhile. */
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
  // The question about the counters counts too.
  const idle = await counted(async () => 0);
  const asked = await counted(async () => (await session.query<RowDataPacket[]>(sql, values))[0].length);
  return {
    rows: asked.rows,
    read: asked.read - idle.read,
    sorted: asked.sorted - idle.sorted,
    temporaryTables: asked.temporaryTables - idle.temporaryTables,
  };
}

/** A line of a plan in its form as a table. */
export interface PlanLine {
  readonly table: string | null;
  readonly type: string | null;
  readonly key: string | null;
  readonly Extra: string | null;
}

/** The plan as a table; MySQL has other forms, and MariaDB no name for this one. */
export async function planOf(session: mysql.Connection, { sql, values }: Statement): Promise<PlanLine[]> {
  const explain = (form: string): Promise<[RowDataPacket[], unknown]> =>
    session.query<RowDataPacket[]>(`EXPLAIN ${form} ${sql}`, values);
  const [lines] = await explain('FORMAT=TRADITIONAL').catch(() => explain(''));
  return lines as PlanLine[];
}

/** Every table is read by a key, none whole; nothing is sorted, and nothing put down in between. */
export function expectOrderly(plan: readonly PlanLine[]): void {
  const text = JSON.stringify(plan, null, 1);
  // A table of which the server knows already that there is no such row has no name.
  for (const { table, type, key, Extra } of plan.filter((line) => line.table !== null)) {
    expect(type, text).not.to.be.oneOf(['ALL', 'index']);
    expect(table, text).not.to.match(/^</);
    expect(key, text).to.be.a('string');
    expect(Extra ?? '', text).not.to.match(/filesort|temporary/);
  }
}
