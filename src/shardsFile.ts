import { readFileSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { ConfigError } from './configError.ts';
import type { Address } from './mysql/connection.ts';
import { compile } from './schema/compile.ts';
import type { Fault } from './schema/compile.ts';

const primary = Type.Object(
  {
    host: Type.String({ minLength: 1, maxLength: 255 }),
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    /** The MySQL schema (database) that holds this shard. Shards may share a server, never a schema. */
    schema: Type.String({ pattern: '^[A-Za-z0-9_]{1,64}$' }),
    user: Type.String({ minLength: 1, maxLength: 32 }),
    /** The environment variable that holds the password. The password itself never stands in the file. */
    passwordVariable: Type.String({ pattern: '^[A-Z][A-Z0-9_]*$' }),
  },
  { additionalProperties: false },
);

const pool = Type.Object(
  {
    /** Connections of one gateway process to this shard, at most. */
    connections: Type.Integer({ minimum: 1, maximum: 1_000 }),
    /** Requests that may wait for one of them; one more is turned away with `overloaded`. */
    waiting: Type.Integer({ minimum: 0, maximum: 100_000 }),
  },
  { additionalProperties: false },
);

/** The form of `shards.config.ts`. */
export const shardsFileSchema = Type.Object(
  {
    /**
     * How many shards the 1,024 slots were dealt to at first: slot s went to shard s mod this. It never changes, also
     * when shards are added; slots then move one by one.
     */
    initialShards: Type.Integer({ minimum: 1, maximum: 1_024 }),
    /** In a fixed order: a shard is known by its place in this list, so new ones go to the end. */
    shards: Type.Array(
      Type.Object({ name: Type.String({ pattern: '^[a-z0-9-]{1,32}$' }), primary, pool }, { additionalProperties: false }),
      { minItems: 1, maxItems: 1_024 },
    ),
  },
  { additionalProperties: false },
);

/** What `shards.config.ts` exports. */
export type ShardsFile = Static<typeof shardsFileSchema>;

export interface ShardConfig {
  readonly name: string;
  readonly address: Address;
  readonly connections_max: number;
  readonly waiting_max: number;
}

const checkShardsFile = compile(shardsFileSchema, 'default export');

/**
 * Reads and checks a shards file.
 *
 * @throws ConfigError with paths like `shards[3].primary.port`
 */
export async function loadShards(
  file: string,
  environment: NodeJS.ProcessEnv,
): Promise<{ initialShards: number; shards: readonly ShardConfig[] }> {
  const checked = checkShardsFile(await readShardsFile(file));
  if (!checked.ok) throw new ConfigError(file, checked.faults);
  const faults = shardFaults(checked.value, environment);
  if (faults.length > 0) throw new ConfigError(file, faults);
  const shards = checked.value.shards.map(({ name, primary, pool }) => ({
    name,
    address: {
      host: primary.host,
      port: primary.port,
      schema: primary.schema,
      user: primary.user,
      password: environment[primary.passwordVariable] ?? '',
    },
    connections_max: pool.connections,
    waiting_max: pool.waiting,
  }));
  return { initialShards: checked.value.initialShards, shards };
}

async function readShardsFile(file: string): Promise<unknown> {
  const path = resolve(file);
  try {
    if (extname(path) === '.json') return JSON.parse(readFileSync(path, 'utf8')) as unknown;
    const module = (await import(pathToFileURL(path).href)) as { default?: unknown };
    return module.default;
  } catch (error) {
    throw new ConfigError(file, [{ path: '(file)', message: error instanceof Error ? error.message : String(error) }]);
  }
}

/** What no schema can say: names and places used twice, passwords that are not there. */
function shardFaults(file: ShardsFile, environment: NodeJS.ProcessEnv): Fault[] {
  const faults: Fault[] = [];
  if (file.initialShards > file.shards.length) {
    faults.push({ path: 'initialShards', message: `must not be above the number of shards, ${file.shards.length}` });
  }
  const seen = new Map<string, string>();
  const missing = new Set<string>();
  const once = (value: string, path: string): void => {
    const first = seen.get(value);
    if (first === undefined) seen.set(value, path);
    else faults.push({ path, message: `is the same as ${first}` });
  };
  file.shards.forEach(({ name, primary }, index) => {
    const path = `shards[${index}]`;
    once(`name ${name}`, `${path}.name`);
    once(`schema ${primary.host.toLowerCase()}:${primary.port}/${primary.schema.toLowerCase()}`, `${path}.primary.schema`);
    if (environment[primary.passwordVariable] === undefined && !missing.has(primary.passwordVariable)) {
      missing.add(primary.passwordVariable);
      faults.push({
        path: `${path}.primary.passwordVariable`,
        message: `${primary.passwordVariable} is not set in the environment`,
      });
    }
  });
  return faults;
}
