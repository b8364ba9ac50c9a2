import { readFileSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { ConfigError } from './configError.ts';
import { importTypeScript } from '../importTypeScript.ts';
import type { Address } from '../mysql/connection/connection.ts';
import { compile } from '../schema/compile.ts';
import type { Fault } from '../schema/compile.ts';
import { parseJson } from '../schema/strictJson.ts';
import { ALLOWED_KEYWORD } from '../schema/wording.ts';
import { errorText } from '../core/text/errorText.ts';

const host = Type.String({ minLength: 1, maxLength: 255, description: 'Name or address of the MySQL server.' });
const port = Type.Integer({ minimum: 1, maximum: 65_535, description: 'Port of the MySQL server.' });
const schema = Type.String({
  pattern: '^[A-Za-z0-9_]{1,64}$',
  [ALLOWED_KEYWORD]: '1 to 64 letters, digits or underscores',
  description: 'The MySQL schema (database) of the shard. Shards may share a server, but never a schema.',
});
const user = Type.String({ minLength: 1, maxLength: 32, description: 'The MySQL account.' });
const passwordVariable = Type.String({
  pattern: '^[A-Z][A-Z0-9_]*$',
  [ALLOWED_KEYWORD]: 'the name of an environment variable, like SHARD_00_PASSWORD',
  description: 'The environment variable that has the password. The password itself is never in the file.',
  // No message shows it, because it may be the password itself by mistake.
  writeOnly: true,
});

const primary = Type.Object(
  { host, port, schema, user, passwordVariable },
  { additionalProperties: false, description: 'Address and account of the schema that is written to.' },
);

const replica = Type.Object(
  {
    ...{ host, port, user, passwordVariable },
    schema: Type.Optional({ ...schema, description: 'Absent: the schema has the same name as on the primary.' }),
  },
  { additionalProperties: false },
);

const pool = Type.Object(
  {
    connections: Type.Integer({
      minimum: 1,
      maximum: 1_000,
      description: 'The most connections of one gateway process to this shard.',
    }),
    waiting: Type.Integer({
      minimum: 0,
      maximum: 100_000,
      description:
        'The most requests of one gateway process that wait for a connection. One more is answered with `overloaded`.',
    }),
  },
  { additionalProperties: false, description: 'Limits of one gateway process for this shard.' },
);

/** The form of `shards.config.ts`. */
export const shardsFileSchema = Type.Object(
  {
    initialShards: Type.Integer({
      minimum: 1,
      maximum: 1_024,
      description:
        'The number of shards to which the 1,024 slots were assigned at first: slot s to shard s modulo this number. ' +
        'It never changes, even when shards are added.',
    }),
    shards: Type.Array(
      Type.Object(
        {
          name: Type.String({
            pattern: '^[a-z0-9-]{1,32}$',
            [ALLOWED_KEYWORD]: '1 to 32 small letters, digits or hyphens',
            description: 'Name of the shard in answers, logs and metrics. Each shard has its own.',
          }),
          primary,
          replicas: Type.Optional(
            Type.Array(replica, {
              maxItems: 16,
              description:
                'MySQL servers that replicate the primary. Only reads that may be slightly stale go to them. ' +
                'Absent: there are none.',
            }),
          ),
          pool,
        },
        { additionalProperties: false },
      ),
      {
        minItems: 1,
        maxItems: 1_024,
        description:
          'The shards in a fixed order: a shard is identified by its position in this list, so new ones are added at ' +
          'the end.',
      },
    ),
  },
  { additionalProperties: false },
);

/** The default export of `shards.config.ts`. */
export type ShardsFile = Static<typeof shardsFileSchema>;

type SchemaAddress = Static<typeof primary>;

export interface ShardConfig {
  readonly name: string;
  readonly address: Address;
  readonly replicas: readonly Address[];
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
  const addressOf = ({ host, port, schema, user, passwordVariable }: SchemaAddress): Address => ({
    ...{ host, port, schema, user },
    password: environment[passwordVariable] ?? '',
  });
  const shards = checked.value.shards.map(({ name, primary, replicas = [], pool }) => ({
    name,
    address: addressOf(primary),
    replicas: replicas.map((replica) => addressOf({ schema: primary.schema, ...replica })),
    connections_max: pool.connections,
    waiting_max: pool.waiting,
  }));
  return { initialShards: checked.value.initialShards, shards };
}

async function readShardsFile(file: string): Promise<unknown> {
  const path = resolve(file);
  try {
    if (extname(path) === '.json')
      return parseJson(new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path)));
    const module = (await importTypeScript(path)) as { default?: unknown };
    return module.default;
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(file, [{ path: '(file)', message: errorText(error) }]);
  }
}

/** The faults that a JSON schema cannot express: names and addresses used twice, and passwords that are not set. */
function shardFaults(file: ShardsFile, environment: NodeJS.ProcessEnv): Fault[] {
  const faults: Fault[] = [];
  if (file.initialShards > file.shards.length) {
    faults.push({ path: 'initialShards', message: `must not be above the number of shards, ${file.shards.length}` });
  }
  const seen = new Map<string, string>();
  const missing = new Set<string>();
  const expectUnique = (value: string, path: string): void => {
    const first = seen.get(value);
    if (first === undefined) seen.set(value, path);
    else faults.push({ path, message: `is the same as ${first}` });
  };
  const expectSet = (variable: string, path: string): void => {
    if (environment[variable] !== undefined || missing.has(variable)) return;
    missing.add(variable);
    faults.push({ path: `${path}.passwordVariable`, message: `${variable} is not set in the environment` });
  };
  const addressText = ({ host, port, schema }: SchemaAddress): string =>
    `schema ${host.toLowerCase()}:${port}/${schema.toLowerCase()}`;
  file.shards.forEach(({ name, primary, replicas = [] }, index) => {
    const path = `shards[${index}]`;
    expectUnique(`name ${name}`, `${path}.name`);
    expectUnique(addressText(primary), `${path}.primary.schema`);
    expectSet(primary.passwordVariable, `${path}.primary`);
    replicas.forEach((replica, number) => {
      expectUnique(addressText({ schema: primary.schema, ...replica }), `${path}.replicas[${number}]`);
      expectSet(replica.passwordVariable, `${path}.replicas[${number}]`);
    });
  });
  return faults;
}
