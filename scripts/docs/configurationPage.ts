import type { TSchema } from 'typebox';
import { SETTING_FLAGS } from '../../src/config/flags.ts';
import { settingGroups } from '../../src/config/settings.ts';
import { shardsFileSchema } from '../../src/config/shardsFile.ts';
import { code, table } from './markdown.ts';
import { typeOf } from './typeOf.ts';
import type { DocumentedSchema } from './typeOf.ts';

const INTRODUCTION = `# Configuration

This page lists every setting of a gateway, and every field of the shards file. \`npm run docs\` generates it from the
schemas that check them: \`src/config/settings.ts\` and \`src/config/shardsFile.ts\`.

A setting is an environment variable. The gateway reads all settings and the shards file once, before it opens a socket.
An empty variable counts as absent. If a value is wrong, the gateway does not start, and the message names the setting.
Secret values stand in no message. [Deploying](operating/deploying.md) has the steps.`;

const TRACING = `The OpenTelemetry SDK itself also reads \`OTEL_EXPORTER_OTLP_HEADERS\`, \`OTEL_SERVICE_NAME\` and
\`OTEL_RESOURCE_ATTRIBUTES\`: see [tracing](operating/tracing.md).`;

const SHARDS_FILE = `## The shards file

\`STOCKGATE_SHARDS\` names the file. A file in TypeScript or JavaScript has this object as its default export, and a
file in JSON contains it. A field that is not in the table is refused. Passwords are read from the environment variables
that the file names.`;

/** Makes \`docs/configuration.md\`. */
export function configurationPage(): string {
  const groups = settingGroups.map(({ title, settings }) => `## ${title}\n\n${settingsTable(settings)}`);
  const fields = fieldRows(shardsFileSchema, '');
  return `${[
    INTRODUCTION,
    ...groups,
    TRACING,
    SHARDS_FILE,
    table(['field', 'type and range', 'needed', 'meaning'], fields),
  ].join('\n\n')}\n`;
}

function settingsTable(settings: Readonly<Record<string, TSchema>>): string {
  const rows = Object.entries(settings).map(([name, schema]) => {
    const documented = schema as DocumentedSchema;
    return [nameOf(name), typeOf(documented, name), defaultOf(documented), descriptionOf(name, documented)];
  });
  return table(['variable', 'type and range', 'default', 'effect'], rows);
}

function nameOf(variable: string): string {
  const flag = Object.entries(SETTING_FLAGS).find(([name]) => name === variable)?.[1];
  return flag === undefined ? code(variable) : `${code(variable)}, flag ${code(flag)}`;
}

function defaultOf({ default: fallback }: DocumentedSchema): string {
  return fallback === undefined ? 'absent' : code(fallback);
}

/** @throws when the schema has no description, because the page would have a hole */
function descriptionOf(name: string, { description }: DocumentedSchema): string {
  if (description === undefined) throw new Error(`${name} has no description in its schema`);
  return description;
}

/** A row for each field of an object, and below it a row for each field of that field. */
function fieldRows({ properties = {}, required = [] }: DocumentedSchema, above: string): string[][] {
  return Object.entries(properties).flatMap(([name, schema]) => {
    const path = `${above}${name}`;
    const needed = required.includes(name) ? 'yes' : 'no';
    const row = [code(path), typeOf(schema, name), needed, descriptionOf(path, schema)];
    const inner = schema.items === undefined ? fieldRows(schema, `${path}.`) : fieldRows(schema.items, `${path}[].`);
    return [row, ...inner];
  });
}
