import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { importTypeScript } from '../../importTypeScript.ts';

/** A migration file: `0001_what_it_does.ts`. */
interface Migration extends Knex.Migration {
  /** The oldest gateway level that can still work with the schema afterwards. */
  readonly oldestGateway: number;
  /** It shuts out gateways of the version before, so it waits on shards in use. If absent, it does not. */
  readonly shutsOutVersionBefore?: boolean;
}

/** The files of all migrations by name, in order. In a build they are compiled and keep their names. */
function migrationFiles(directory: string): ReadonlyMap<string, string> {
  const files = readdirSync(directory).sort();
  return new Map(
    files.flatMap((file) =>
      /^\d{4}_\w+\.(ts|mjs)$/.test(file)
        ? [[file.slice(0, file.lastIndexOf('.')), join(directory, file)] as const]
        : [],
    ),
  );
}

/** In the order in which they are applied. */
export function migrationNames(directory: string): string[] {
  return [...migrationFiles(directory).keys()];
}

/** `0003_what_it_does` brings a schema to level 3. */
export function levelOf(name: string): number {
  return Number.parseInt(name, 10);
}

/** @throws Error when the directory has no migration of that name */
export async function loadMigration(directory: string, name: string): Promise<Migration> {
  const file = migrationFiles(directory).get(name);
  if (file === undefined) throw new Error(`there is no migration ${name} in ${directory}`);
  return (await importTypeScript(file)) as Migration;
}

/** The migrations of a directory as knex reads them. */
export function migrationSource(directory: string): Knex.MigrationSource<string> {
  return {
    getMigrations: () => Promise.resolve(migrationNames(directory)),
    getMigrationName: (name) => name,
    getMigration: (name) => loadMigration(directory, name),
  };
}
