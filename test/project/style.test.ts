import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { cruise } from 'dependency-cruiser';
import type { ICruiseResult, IConfiguration } from 'dependency-cruiser';
import { importTypeScript } from '../../src/importTypeScript.ts';
import { SLOW_FOLDERS, SUBJECTS } from '../../scripts/support/testFolders.ts';
import { projectPath } from '../../src/projectPath.ts';

const sources = readdirSync(projectPath('src'), { recursive: true, encoding: 'utf8' })
  .map((file) => `src/${file}`)
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'));
const text = (file: string): string => readFileSync(projectPath(file), 'utf8');

/** `npm run check` applies these rules to the checkout; here they meet code that breaks them. */
describe('the rules of imports', () => {
  let rules: IConfiguration;
  let folder: string;

  before(async () => {
    const { default: loaded } = (await importTypeScript(projectPath('.dependency-cruiser.mjs'))) as {
      default: IConfiguration;
    };
    rules = loaded;
    folder = mkdtempSync(join(tmpdir(), 'stockgate-imports-'));
  });

  after(() => rmSync(folder, { recursive: true, force: true }));

  /** @param files their texts by path; returns the names of the rules that they break */
  async function broken(files: Readonly<Record<string, string>>): Promise<string[]> {
    const root = mkdtempSync(join(folder, 'tree-'));
    for (const [file, content] of Object.entries({ 'src/main.ts': '', ...files })) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), content);
    }
    const { forbidden = [], options = {} } = rules;
    const chosen = forbidden.filter(({ name }) => name !== 'no-unreachable-file' && name !== 'no-dead-file');
    const { output } = await cruise(['src'], {
      ...options,
      tsConfig: {},
      baseDir: root,
      validate: true,
      ruleSet: { forbidden: chosen },
    });
    const { summary } = output as ICruiseResult;
    return [...new Set(summary.violations.map(({ rule }) => rule.name))].sort();
  }

  it('detect an import in the other direction', async () => {
    const pool = { 'src/mysql/pool.ts': 'export const pool = 1;' };
    expect(await broken({ ...pool, 'src/core/a.ts': "import { pool } from '../mysql/pool.ts'; pool;" })).to.include(
      'core-imports',
    );
    expect(await broken({ ...pool, 'src/mysql/a.ts': "import { pool } from './pool.ts'; pool;" })).to.deep.equal([]);
  });

  it('detect the code of a use case where only its types are allowed', async () => {
    const deduct = { 'src/service/deduct.ts': 'export const deduct = 1; export type Deduct = 1;' };
    expect(
      await broken({ ...deduct, 'src/http/a.ts': "import { deduct } from '../service/deduct.ts'; deduct;" }),
    ).to.include('http-imports-types-only');
    expect(
      await broken({
        ...deduct,
        'src/http/a.ts': "import type { Deduct } from '../service/deduct.ts'; export type A = Deduct;",
      }),
    ).to.deep.equal([]);
  });

  it('detect a module of Node.js in a folder without input and output', async () => {
    expect(await broken({ 'src/service/a.ts': "import { readFileSync } from 'node:fs'; readFileSync;" })).to.include(
      'service-imports',
    );
  });

  it('detect a cycle of types', async () => {
    expect(
      await broken({
        'src/core/a.ts': "import type { B } from './b.ts'; export interface A { readonly b: B }",
        'src/core/b.ts': "import type { A } from './a.ts'; export interface B { readonly a: A }",
      }),
    ).to.deep.equal(['no-cycle']);
  });

  it('list every folder of src that does not hold the composition', () => {
    const folders = readdirSync(projectPath('src'), { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name !== 'app')
      .map(({ name }) => `${name}-imports`);
    const named = (rules.forbidden ?? []).map(({ name = '' }) => name);
    expect(folders.filter((name) => !named.includes(name))).to.deep.equal([]);
  });
});

describe('the lists of tests', () => {
  const tests = readdirSync(projectPath('test'), { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.test.ts'),
  );

  it('name every folder with tests', () => {
    const folders = new Set(tests.map((file) => file.split('/')[0]));
    expect([...folders].sort()).to.deep.equal([...SUBJECTS, ...SLOW_FOLDERS].sort());
  });

  it('name tests that exist, where CI runs some of them on MariaDB', () => {
    const lists = text('.ci/run').matchAll(/test\/(?:whole\/)?\*\/\{([\w,]+)\}\.test\.ts/g);
    const names = [...lists].flatMap(([, list = '']) => list.split(','));
    expect(names).to.have.length.above(30);
    const found = (name: string): number => tests.filter((file) => file.endsWith(`/${name}.test.ts`)).length;
    expect(names.filter((name) => found(name) !== 1)).to.deep.equal([]);
  });
});

describe('style', () => {
  it('has no other files beside the folders of src', () => {
    const files = readdirSync(projectPath('src'), { withFileTypes: true }).filter((entry) => entry.isFile());
    // The rules of imports are for folders: a further file here could import everything.
    expect(files.map(({ name }) => name).sort()).to.deep.equal([
      ...['importTypeScript.ts', 'log.ts', 'main.ts', 'projectPath.ts'],
    ]);
  });

  it('reads the environment in one place', () => {
    // One for the gateway and one for the commands.
    const readers = ['src/config/config.ts', 'src/commands/support/readShards.ts'];
    expect(sources.filter((file) => !readers.includes(file) && text(file).includes('process.env'))).to.deep.equal([]);
  });

  it('has no stock statement that sets an amount to a literal, and no INSERT IGNORE', () => {
    const statements = sources
      .filter((file) => file.startsWith('src/mysql/sql/'))
      .map(text)
      .join('\n');
    expect(statements).to.match(/UPDATE stock SET/);
    expect(statements).not.to.match(/leaved_amount\s*=\s*(\?|\d)/);
    expect(statements).not.to.match(/INSERT\s+IGNORE/i);
  });

  it('names status codes in one place', () => {
    const others = sources.filter((file) => file.startsWith('src/http/') && !file.endsWith('/errors.ts'));
    expect(
      others.filter((file) => /\b(4\d\d|5\d\d)\b/.test(text(file).replaceAll(/\/\*\*[\s\S]*?\*\//g, ''))),
    ).to.deep.equal([]);
  });
});
