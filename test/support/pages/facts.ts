import { basename } from 'node:path';
import { documentedMetrics } from '../../../scripts/docs/metricsPage.ts';
import { settingsSchema } from '../../../src/config/settings.ts';
import { PROBLEMS } from '../../../src/http/errors.ts';
import { docsPageRoutes } from '../../../src/http/routes/docsPage.ts';
import { ADMIN_ROUTES, PUBLIC_ROUTES } from '../gateway/contract.ts';
import { readHelps } from './commandHelp.ts';
import type { CommandHelp } from './commandHelp.ts';
import { isFile, projectFiles, projectText } from './projectFiles.ts';

/** The names that exist. */
export interface Facts {
  /** All files and folders of the project. */
  readonly files: ReadonlySet<string>;
  readonly helps: ReadonlyMap<string, CommandHelp>;
  readonly settings: readonly string[];
  /** The names of metrics, and of the series of histograms. */
  readonly metrics: ReadonlySet<string>;
  readonly problems: ReadonlyMap<string, number>;
  readonly calls: readonly { readonly method: string; readonly path: string }[];
  /** The columns of each table of a shard. */
  readonly tables: ReadonlyMap<string, ReadonlySet<string>>;
  readonly procedures: ReadonlySet<string>;
  /** Every word of the sources, those joined by hyphens, and the names of the files without their endings. */
  readonly words: ReadonlySet<string>;
}

/** Sources whose words exist. Migrations have names of the past, and pages and planted bugs wrong ones. */
const SOURCES =
  /^(src|scripts|test|deploy|\.ci)\/|^docs\/schema\.sql$|^[^/]+\.(ts|js|mjs|json)$|^\.[\w-]+\.mjs$|^Dockerfile$/;
const NO_SOURCES =
  /^package-lock\.json$|^test\/(planted|support\/pages)\/|^test\/project\/pages\.test\.ts$|\.(md|csv)$/;

/** Gathers the names that exist. It runs the `--help` of every command. */
export async function gatherFacts(): Promise<Facts> {
  const files = projectFiles();
  const schema = projectText('docs/schema.sql');
  return {
    files: new Set(files),
    helps: await readHelps(files),
    settings: Object.keys(settingsSchema.properties),
    metrics: new Set(documentedMetrics().flatMap(seriesOf)),
    problems: new Map(Object.entries(PROBLEMS).map(([code, { status }]) => [code, status])),
    calls: [...PUBLIC_ROUTES, ...ADMIN_ROUTES, ...docsPageRoutes()].map(({ method, path }) => ({
      method: method.toUpperCase(),
      path,
    })),
    tables: tablesOf(schema),
    procedures: new Set([...schema.matchAll(/^CREATE PROCEDURE `(\w+)`/gm)].map(([, name = '']) => name)),
    words: new Set([
      ...wordsOf(files.filter((file) => SOURCES.test(file) && !NO_SOURCES.test(file) && isFile(file))),
      ...files.map((file) => basename(file).split('.', 1)[0] ?? ''),
    ]),
  };
}

/** The names of the series of a metric. */
export function seriesOf({ name, type }: { readonly name: string; readonly type: string }): string[] {
  return type === 'histogram' ? [name, `${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
}

function tablesOf(schema: string): Map<string, Set<string>> {
  const tables = schema.matchAll(/^CREATE TABLE `(\w+)` \(\n([\s\S]*?)^\)/gm);
  return new Map(
    [...tables].map(([, table = '', body = '']) => [
      table,
      new Set([...body.matchAll(/^ +`(\w+)`/gm)].map(([, column = '']) => column)),
    ]),
  );
}

function wordsOf(files: readonly string[]): Set<string> {
  const texts = files.map(projectText);
  return new Set(texts.flatMap((text) => text.match(/[A-Za-z_]\w*(?:-\w+)+|[A-Za-z_]\w*/g) ?? []).flatMap(partsOf));
}

function partsOf(word: string): string[] {
  return word.includes('-') ? [word, ...word.split('-')] : [word];
}
