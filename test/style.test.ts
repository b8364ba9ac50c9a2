import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** The folders and packages that each folder of `src` may import; node's own modules are listed where needed. */
const ARROWS: Readonly<Record<string, readonly string[]>> = {
  core: ['core', 'murmurhash'],
  schema: ['core', 'schema', 'ajv', 'lossless-json', 'typebox'],
  service: ['core', 'service'],
  mysql: [
    'core',
    'mysql',
    'importTypeScript.ts',
    'mysql2',
    'knex',
    'node:buffer',
    'node:fs',
    'node:path',
    'node:crypto',
  ],
  redis: ['core', 'redis', '@redis/client', 'node:crypto', 'node:fs', 'node:timers/promises'],
  http: [
    'core',
    'schema',
    'service (types)',
    'http',
    'koa',
    'lossless-json',
    '@koa/router',
    'raw-body',
    'typebox',
    'node:http',
    'node:net',
    'node:crypto',
    'node:querystring',
  ],
  limits: ['limiter', 'limits'],
  metrics: ['core', 'metrics', 'prom-client'],
  tracing: [
    'core',
    'tracing',
    '@opentelemetry/api',
    '@opentelemetry/core',
    '@opentelemetry/exporter-trace-otlp-http',
    '@opentelemetry/resources',
    '@opentelemetry/sdk-trace',
  ],
  workers: ['workers', 'metrics', 'config.ts (types)', 'pino (types)', 'node:cluster', 'node:timers/promises'],
};

/** Files of `src` itself, which tie the folders together. They may import everything. */
const TOP_FILES = [
  'app.ts',
  'backendPorts.ts',
  'config.ts',
  'configError.ts',
  'flags.ts',
  'importTypeScript.ts',
  'listeners.ts',
  'log.ts',
  'main.ts',
  'mysqlBackend.ts',
  'rates.ts',
  'services.ts',
  'settings.ts',
  'shardsFile.ts',
  'tiers.ts',
  'traces.ts',
  'useCases.ts',
];

/** At this size a file most likely has a second reason to change. */
const LINES_MAX = 300;

interface Import {
  readonly target: string;
  readonly typesOnly: boolean;
}

function filesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map((file) => join(folder, file))
    .filter((file) => file.endsWith('.ts'));
}

function importsOf(text: string): Import[] {
  const atStart = [...text.matchAll(/^(?:import|export)\s+(type\s)?[^;]*?from\s+'([^']+)';/gms)].map(
    ([, type, target = '']) => ({ target, typesOnly: type !== undefined }),
  );
  const later = [...text.matchAll(/\bimport\('([^']+)'\)/g)].map(([, target = '']) => ({ target, typesOnly: false }));
  return [...atStart, ...later];
}

/** The folder or package of an import: `../core/nouns.ts` of `src/http/errors.ts` → `core`; `ajv/x.js` → `ajv`. */
function placeOf(file: string, target: string): string {
  if (target.startsWith('.')) {
    const path = relative(join(ROOT, 'src'), resolve(ROOT, dirname(file), target));
    return path.includes('/') ? (path.split('/')[0] ?? path) : path;
  }
  return target.startsWith('@')
    ? target.split('/').slice(0, 2).join('/')
    : target.startsWith('node:')
      ? target
      : (target.split('/')[0] ?? target);
}

/** Lists the imports of a file of `src` that `ARROWS` does not allow. */
export function forbiddenImports(file: string, text: string): string[] {
  const folder = file.split('/')[1] ?? '';
  const allowed = ARROWS[folder] ?? [];
  return importsOf(text)
    .filter(({ target, typesOnly }) => {
      const place = placeOf(file, target);
      return !allowed.includes(place) && !(typesOnly && allowed.includes(`${place} (types)`));
    })
    .map(({ target }) => `${file} imports ${target}`);
}

describe('style', () => {
  const sources = filesBelow('src').filter((file) => !file.endsWith('.d.ts'));
  const inFolders = sources.filter((file) => file.split('/').length > 2);
  const text = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

  it('allows imports in one direction only', () => {
    expect(inFolders.flatMap((file) => forbiddenImports(file, text(file)))).to.deep.equal([]);
  });

  it('detects an import in the other direction', () => {
    expect(forbiddenImports('src/core/slots.ts', "import { thing } from '../mysql/pool.ts';")).to.have.length(1);
    expect(
      forbiddenImports('src/http/errors.ts', "import { deductOrder } from '../service/deductOrder.ts';"),
    ).to.have.length(1);
    expect(
      forbiddenImports('src/http/errors.ts', "import type { Order } from '../service/deductOrder.ts';"),
    ).to.deep.equal([]);
    expect(forbiddenImports('src/service/readSku.ts', "import mysql from 'mysql2';")).to.have.length(1);
    expect(forbiddenImports('src/service/readSku.ts', "const mysql = await import('mysql2');")).to.have.length(1);
  });

  it('lists every folder and every top-level file of src', () => {
    const entries = readdirSync(join(ROOT, 'src'), { withFileTypes: true });
    const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    const files = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
    expect(folders.sort()).to.deep.equal(Object.keys(ARROWS).sort());
    expect(files.sort()).to.deep.equal([...TOP_FILES].sort());
  });

  it('has no file that nothing imports', () => {
    const all = [...sources, ...filesBelow('scripts'), ...filesBelow('test'), 'shards.config.ts'];
    const imported = new Set(
      all.flatMap((file) =>
        importsOf(text(file)).map(({ target }) => relative(ROOT, resolve(ROOT, dirname(file), target))),
      ),
    );
    const entries = ['src/main.ts'];
    expect(sources.filter((file) => !imported.has(file) && !entries.includes(file))).to.deep.equal([]);
  });

  it('keeps files small', () => {
    const all = [...sources, ...filesBelow('scripts'), ...filesBelow('test'), ...filesBelow('migrations')];
    expect(all.filter((file) => text(file).split('\n').length > LINES_MAX)).to.deep.equal([]);
  });

  it('reads the environment in one place', () => {
    expect(sources.filter((file) => file !== 'src/config.ts' && text(file).includes('process.env'))).to.deep.equal([]);
  });

  it('has no stock statement that sets an amount to a literal, and no INSERT IGNORE', () => {
    const statements = filesBelow('src/mysql/sql').map(text).join('\n');
    expect(statements).to.match(/UPDATE stock SET/);
    expect(statements).not.to.match(/leaved_amount\s*=\s*(\?|\d)/);
    expect(statements).not.to.match(/INSERT\s+IGNORE/i);
  });

  it('names status codes in one place', () => {
    const others = inFolders.filter((file) => file.startsWith('src/http/') && !file.endsWith('/errors.ts'));
    expect(
      others.filter((file) => /\b(4\d\d|5\d\d)\b/.test(text(file).replaceAll(/\/\*\*[\s\S]*?\*\//g, ''))),
    ).to.deep.equal([]);
  });
});
