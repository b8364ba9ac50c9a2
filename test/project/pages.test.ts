import { expect } from 'chai';
import { generatedPages } from '../../scripts/docs/generatedPages.ts';
import { alertsOf, documentedMetrics } from '../../scripts/docs/metricsPage.ts';
import { missingNames } from '../support/pages/completeness.ts';
import { brokenDiagrams, loadDiagramParser } from '../support/pages/diagrams.ts';
import { gatherFacts, seriesOf } from '../support/pages/facts.ts';
import type { Facts } from '../support/pages/facts.ts';
import { findingLines } from '../support/pages/finding.ts';
import { brokenLinks } from '../support/pages/links.ts';
import { wrongNames } from '../support/pages/names.ts';
import { readPage } from '../support/pages/page.ts';
import type { Page } from '../support/pages/page.ts';
import { pageFiles, projectFiles, projectText } from '../support/pages/projectFiles.ts';

/** All commands print their `--help`. */
const HELPS_MS = 180_000;

const files = projectFiles();
const { all, named } = pageFiles(files);
const pages = new Map<string, Page>(all.map((file) => [file, readPage(file, projectText(file))]));
const pageOf = (file: string): Page => pages.get(file) ?? readPage(file, '');

describe('the pages', () => {
  it('have links that lead to files and headings that exist', () => {
    const findings = [...pages.values()].flatMap((page) => brokenLinks(page, new Set(files), pages));
    expect(findingLines(findings)).to.deep.equal([]);
  });

  it('have diagrams that Mermaid can parse', async () => {
    const parse = await loadDiagramParser();
    const findings = await Promise.all([...pages.values()].map((page) => brokenDiagrams(page, parse)));
    expect(findingLines(findings.flat())).to.deep.equal([]);
  });

  for (const { file, text } of generatedPages())
    it(`have ${file} as npm run docs generates it`, () => expect(projectText(file)).to.equal(text));
});

describe('the names in the pages', function () {
  this.timeout(HELPS_MS);
  let facts: Facts;

  before(async () => {
    facts = await gatherFacts();
  });

  it('exist', () => {
    expect(findingLines(named.flatMap((file) => wrongNames(pageOf(file), facts)))).to.deep.equal([]);
  });

  it('include every setting, metric and problem code, each on the page for it', () => {
    expect(missingNames(pageOf('docs/configuration.md'), facts.settings)).to.deep.equal([]);
    const metrics = documentedMetrics().map(({ name }) => name);
    expect(missingNames(pageOf('docs/metrics.md'), metrics)).to.deep.equal([]);
    expect(missingNames(pageOf('docs/api.md'), [...facts.problems.keys()])).to.deep.equal([]);
  });
});

describe('the alerts and the dashboard', () => {
  const rules = projectText('deploy/prometheus/rules.yml');

  it('name the steps for each alert, under a heading of its own', () => {
    const runbooks = [...rules.matchAll(/^ *runbook_url: '(.*)'$/gm)].map(([, target = '']) => target);
    const expected = alertsOf(rules).map(({ name }) => `docs/operating/monitoring.md#${name.toLowerCase()}`);
    expect(expected).to.have.length.above(10);
    expect(runbooks).to.deep.equal(expected);
    const { anchors } = pageOf('docs/operating/monitoring.md');
    expect(expected.filter((target) => !anchors.has(target.split('#')[1] ?? ''))).to.deep.equal([]);
  });

  it('use metrics that exist', () => {
    const used = (rules + projectText('deploy/grafana/stockgate.json')).match(/\bstockgate_\w+/g) ?? [];
    const series = new Set(documentedMetrics().flatMap(seriesOf));
    expect(used).to.have.length.above(30);
    expect([...new Set(used)].filter((name) => !series.has(name))).to.deep.equal([]);
  });
});
