// The folders that each folder of `src` may import. `src/app` may import all. A cycle of types is a cycle too.
// `npm run check` checks it.

/** Folders of `src` that the files of a folder may import, and the packages and modules of Node.js. */
const ARROWS = {
  core: { folders: [], packages: ['murmurhash'], node: ['timers/promises'] },
  schema: { folders: ['core'], packages: ['ajv', 'lossless-json', 'typebox'], node: [] },
  service: { folders: ['core'], packages: [], node: [] },
  mysql: {
    folders: ['core'],
    files: ['src/importTypeScript.ts'],
    packages: ['mysql2', 'knex'],
    node: ['buffer', 'fs', 'path', 'crypto'],
  },
  redis: { folders: ['core'], packages: ['@redis/client'], node: ['crypto', 'fs', 'timers/promises'] },
  http: {
    folders: ['core', 'schema'],
    typesOf: ['src/service/'],
    files: ['src/projectPath.ts'],
    packages: ['koa', '@koa/router', 'lossless-json', 'raw-body', 'typebox'],
    node: ['http', 'net', 'crypto', 'querystring', 'fs/promises'],
  },
  limits: { folders: [], packages: ['limiter'], node: [] },
  metrics: { folders: ['core'], packages: ['prom-client'], node: [] },
  tracing: {
    folders: ['core'],
    packages: [
      '@opentelemetry/api',
      '@opentelemetry/core',
      '@opentelemetry/exporter-trace-otlp-http',
      '@opentelemetry/resources',
      '@opentelemetry/sdk-trace',
    ],
    node: [],
  },
  workers: {
    folders: ['metrics'],
    typesOf: ['src/config/config.ts', 'node_modules/pino/'],
    packages: [],
    node: ['cluster', 'timers/promises'],
  },
  commands: {
    folders: ['core', 'schema', 'service', 'mysql', 'config', 'redis'],
    files: ['src/projectPath.ts'],
    packages: ['cli-progress', 'cli-table3', 'commander', 'csv-parse', 'lossless-json'],
    node: ['buffer', 'crypto', 'events', 'fs', 'timers/promises'],
  },
  config: {
    folders: ['core', 'schema', 'mysql', 'redis'],
    files: ['src/importTypeScript.ts'],
    typesOf: ['src/service/'],
    packages: ['commander', 'typebox'],
    node: ['fs', 'path'],
  },
};

const anyOf = (texts) => `^(${texts.map((text) => text.replaceAll('.', '\\.')).join('|')})`;

const arrows = Object.entries(ARROWS).map(([folder, { folders, packages, node, files = [], typesOf = [] }]) => {
  const allowed = [
    ...[folder, ...folders].map((name) => `src/${name}/`),
    ...packages.flatMap((name) => [`node_modules/${name}/`, `node_modules/@types/${name}/`]),
    ...files,
  ];
  return [
    {
      name: `${folder}-imports`,
      severity: 'error',
      from: { path: `^src/${folder}/` },
      to: { pathNot: [anyOf([...allowed, ...typesOf]), ...[...packages, ...node].map((name) => `^${name}$`)] },
    },
    ...typesOf.map((path) => ({
      name: `${folder}-imports-types-only`,
      comment: `Only types of ${path}: src/app hands the code over.`,
      severity: 'error',
      from: { path: `^src/${folder}/` },
      to: { path: anyOf([path]), dependencyTypesNot: ['type-only'] },
    })),
  ];
});

export default {
  forbidden: [
    ...arrows.flat(),
    { name: 'no-cycle', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-missing-file', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'no-dead-file',
      comment: 'A file that no other file imports, and that is no entry. Browsers load the script of the page.',
      severity: 'error',
      from: { orphan: true, pathNot: ['\\.d\\.ts$', '^src/http/page/page\\.js$'] },
      to: {},
    },
    {
      name: 'no-unreachable-file',
      comment: 'A file of src that the gateway, a command or a test does not reach.',
      severity: 'error',
      from: {
        path: [
          '^src/main\\.ts$',
          '^scripts/[^/]+\\.ts$',
          '^src/commands/[^/]+\\.ts$',
          '^test/.*\\.test\\.ts$',
          '^shards\\.config\\.ts$',
        ],
      },
      to: {
        path: '^src/',
        pathNot: ['\\.d\\.ts$', '^src/(main|commands/[^/]+)\\.ts$', '^src/http/page/page\\.js$'],
        reachable: false,
      },
    },
    {
      name: 'src-imports',
      comment: 'The product does not depend on tests and tooling.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(scripts|test)/' },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.mjs', '.js'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
    },
  },
};
