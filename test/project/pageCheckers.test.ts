import { expect } from 'chai';
import { alertsOf } from '../../scripts/docs/metricsPage.ts';
import { missingNames } from '../support/pages/completeness.ts';
import { brokenDiagrams, loadDiagramParser } from '../support/pages/diagrams.ts';
import type { Facts } from '../support/pages/facts.ts';
import { findingLines } from '../support/pages/finding.ts';
import { brokenLinks } from '../support/pages/links.ts';
import { wrongNames } from '../support/pages/names.ts';
import { readPage } from '../support/pages/page.ts';

const FILES = ['README.md', 'docs', 'docs/a.md', 'src', 'src/core', 'src/core/slots.ts', 'test/http/http.test.ts'];
const FACTS: Facts = {
  files: new Set([...FILES, 'test', 'migrations/0001_stock_and_flows.ts', 'package.json']),
  helps: new Map([
    ['start', { text: 'Options:\n  --workers <count>  processes\n', subcommands: new Map() }],
    [
      'migrate',
      { text: '  --shards <file>  the file', subcommands: new Map([['up', '  --create-schemas  make them']]) },
    ],
    ['test', { text: '  --grep <text>  titles', subcommands: new Map() }],
  ]),
  settings: ['PORT'],
  metrics: new Set(['stockgate_retries']),
  problems: new Map([['overloaded', 503]]),
  calls: [{ method: 'GET', path: '/v1/skus/:sku_id' }],
  tables: new Map([['stock', new Set(['sku_id', 'epoch'])]]),
  procedures: new Set(['apply_part_4']),
  words: new Set(['PORT', 'STOCKGATE_TOKENS', 'leaved_amount', 'initialShards', 'overloaded', 'mysqld-kill', 'sku_id']),
};

/** The names with a fault, on a page that has each of the texts in inline code. */
function faultyNames(...texts: readonly string[]): string[] {
  const page = readPage('docs/a.md', texts.map((text) => `The name \`${text}\` stands here.\n`).join('\n'));
  return wrongNames(page, FACTS).map(({ text }) => text.slice(1, text.lastIndexOf('`')));
}

describe('the checkers of pages', () => {
  it('take a page apart', () => {
    const text = '# A `b`: c_d, é\n\n## Same\n\n## Same\n\nSee `x\ny` and [z](a.md#q "t").\n\n```sh\nnpm `run`\n```\n';
    const page = readPage('docs/a.md', text);
    expect([...page.anchors]).to.deep.equal(['a-b-c_d-é', 'same', 'same-1']);
    expect(page.spans).to.deep.equal([
      { text: 'b', line: 1 },
      { text: 'x y', line: 7 },
    ]);
    expect(page.links).to.deep.equal([{ text: 'a.md#q', line: 8 }]);
    expect(page.blocks).to.deep.equal([{ language: 'sh', text: 'npm `run`\n', line: 11 }]);
  });

  it('detect links to files and headings that do not exist', () => {
    const links = ['a.md', '#here', 'a.md#here', '../README.md', '../src/core/', 'https://example.com/x'];
    const wrong = ['b.md', '#there', 'a.md#there', '../a.md', '../src/core/slots.ts#here'];
    const text = [...links, ...wrong].map((target) => `[x](${target})`).join('\n');
    const page = readPage('docs/a.md', `# Here\n${text}\n`);
    expect(findingLines(brokenLinks(page, FACTS.files, new Map([[page.file, page]])))).to.deep.equal([
      'docs/a.md:8: `b.md`: there is no docs/b.md',
      'docs/a.md:9: `#there`: docs/a.md has no heading for #there',

      'docs/a.md:10: `a.md#there`: docs/a.md has no heading for #there',
      'docs/a.md:11: `../a.md`: there is no a.md',
      'docs/a.md:12: `../src/core/slots.ts#here`: src/core/slots.ts is no page, so it has no anchors',
    ]);
  });

  const CASES: readonly { readonly kind: string; readonly right: string[]; readonly wrong: string[] }[] = [
    {
      kind: 'files and folders',
      right: ['src/core/slots.ts', 'core/slots.ts', 'slots.ts', 'test/{http}/*.ts', 'src/core/'],
      wrong: ['src/core/slot.ts', 'slot.ts', 'src/slots/', 'test/{http,orders}/http.test.ts', '0002_none'],
    },
    {
      kind: 'commands and flags',
      right: [
        'npm start -- --workers 4',
        'npm run migrate -- up --create-schemas',
        'node dist/migrate.mjs up',
        '--grep',
      ],
      wrong: ['npm run migrat', 'npm start -- --worker 4', 'npm run migrate -- down', 'node main.mjs --no', '--greb'],
    },
    {
      kind: 'test files in commands',
      right: ['npm test -- test/http/http.test.ts'],
      wrong: ['npm test -- test/http.test.ts'],
    },
    { kind: 'environment variables', right: ['PORT', 'STOCKGATE_TOKENS=a'], wrong: ['STOCKGATE_TOKEN', 'PORTS'] },
    {
      kind: 'metrics',
      right: ['stockgate_retries', 'stockgate_retries{shard="a"}'],
      wrong: ['stockgate_retry', 'stockgate_retries_total{shard="a"}'],
    },
    { kind: 'stored procedures', right: ['apply_part_4', 'CALL apply_part_4(…)'], wrong: ['apply_part_9'] },
    { kind: 'columns', right: ['stock.epoch', 'leaved_amount'], wrong: ['stock.era', 'left_amount'] },
    {
      kind: 'problem codes',
      right: ['503 overloaded', 'overloaded'],
      wrong: ['503 overload', '409 overloaded', 'overload'],
    },
    {
      kind: 'calls',
      right: ['GET /v1/skus/{sku_id}', '/v1/skus/phone'],
      wrong: ['PUT /v1/skus/{sku_id}', 'GET /v1/sku/phone', '/v1/orders'],
    },
    { kind: 'fields', right: ['initialShards', '{"leaved_amount":5}'], wrong: ['initialShard', 'left_units'] },
    { kind: 'words with hyphens', right: ['mysqld-kill'], wrong: ['mysqld-stop'] },
  ];
  for (const { kind, right, wrong } of CASES)
    it(`detect wrong names of ${kind}`, () => expect(faultyNames(...right, ...wrong)).to.deep.equal(wrong));

  it('detect wrong names in blocks of commands and JSON', () => {
    const shell = [
      'PORT=1 STOCKGATE_TOKEN=a npm start -- --workers 4 # --nothing',
      'npm run migrate -- up --all | tail',
      'curl -X DELETE $shop/v1/skus/phone -d \'{"left_amount":1}\'',
      'curl $shop/v1/skus/phone',
    ].join('\n');
    const page = readPage('docs/a.md', `\`\`\`sh\n${shell}\n\`\`\`\n\n\`\`\`json\n{ "leavedAmount": 1 }\n\`\`\`\n`);
    expect(findingLines(wrongNames(page, FACTS))).to.deep.equal([
      'docs/a.md:2: `STOCKGATE_TOKEN`: no such environment variable or constant in the sources',
      'docs/a.md:3: `npm run migrate -- up --all`: migrate has no flag --all',
      'docs/a.md:4: `DELETE /v1/skus/phone`: this path has no DELETE',
      'docs/a.md:4: `left_amount`: no such name in the sources',
      'docs/a.md:9: `leavedAmount`: no such name in the sources',
    ]);
  });

  it('detect diagrams that cannot be parsed', async () => {
    const parse = await loadDiagramParser();
    const of = (text: string): string => `\`\`\`mermaid\n${text}\n\`\`\`\n\n`;
    const right = of('flowchart TD\n  a["GET /x"] -->|yes| b') + of('sequenceDiagram\n  a->>b: BEGIN');
    const wrong =
      of('flowchart TD\n  a[GET (x)] --> b') + of('sequenceDiagram\n  a->>b BEGIN') + of('flow TD\n  a --> b');
    expect(await brokenDiagrams(readPage('a.md', right), parse)).to.deep.equal([]);
    const found = await brokenDiagrams(readPage('a.md', right + wrong), parse);
    expect(found.map(({ line }) => line)).to.deep.equal([12, 17, 22]);
  });

  it('detect names that a page leaves out', () => {
    expect(missingNames(readPage('a.md', 'Only `PORT` and HOST.'), ['PORT', 'HOST'])).to.deep.equal(['HOST']);
  });

  it('read the alerts from a file of rules', () => {
    const rules = '  - alert: A\n    # Why.\n    expr: up == 0\n    for: 1m\n  - alert: B\n    expr: a > 1\n';
    expect(alertsOf(rules)).to.deep.equal([
      { name: 'A', expression: 'up == 0' },
      { name: 'B', expression: 'a > 1' },
    ]);
  });
});
