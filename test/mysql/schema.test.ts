import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'chai';
import type { RowDataPacket } from 'mysql2/promise';
import { projectPath } from '../../src/projectPath.ts';
import { sideSession } from '../support/rows/sideSession.ts';

const FILE = projectPath('docs/schema.sql');
// This text is also the head of the file.
const HEAD =
  '-- The tables and procedures of a shard after all migrations, as MySQL prints them. It is never run: npm run\n' +
  '-- migrate creates a shard. test/mysql/schema.test.ts compares it, and writes it with STOCKGATE_RECORD_SCHEMA=1.\n';

describe('the schema', () => {
  it('equals docs/schema.sql', async function () {
    const session = await sideSession(0);
    const rows = async (sql: string): Promise<string[][]> => {
      const [found] = await session.query<RowDataPacket[]>(sql);
      return found.map((row) => Object.values(row).map(String));
    };
    const [[version = '']] = (await rows('SELECT VERSION()')) as [string[]];
    // MariaDB prints the same schema in another form.
    if (/mariadb/i.test(version)) return this.skip();
    const tables = await Promise.all(
      (await rows('SHOW TABLES')).map(([name]) => rows(`SHOW CREATE TABLE \`${name}\``)),
    );
    const routines = await Promise.all(
      (await rows('SHOW PROCEDURE STATUS WHERE Db = DATABASE()')).map(([, name]) =>
        rows(`SHOW CREATE PROCEDURE \`${name}\``),
      ),
    );
    const statements = [...tables.map(([row]) => row?.[1] ?? ''), ...routines.map(([row]) => row?.[2] ?? '')];
    const dump = `${HEAD}\n${statements.map(withoutPlace).sort().join('\n\n')}\n`;
    session.destroy();
    if (process.env['STOCKGATE_RECORD_SCHEMA'] === '1') writeFileSync(FILE, dump);
    expect(dump).to.equal(readFileSync(FILE, 'utf8'));
  });
});

/** Removes the parts of a statement that differ between shards or servers. */
function withoutPlace(statement: string): string {
  return `${statement
    .replace(/ AUTO_INCREMENT=\d+/, '')
    .replace(/ DEFINER=`[^`]*`@`[^`]*`/, '')
    .replaceAll(/[ \t]+$/gm, '')};`;
}
