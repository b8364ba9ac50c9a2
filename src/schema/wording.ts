import { IDENTIFIER_RULE, STORED_IDENTIFIER_RULE } from '../core/identifier.ts';
import { shown } from '../core/text/shown.ts';

/** The format name of new ids and of ids in paths. `core/identifier.ts` has the rule. */
export const IDENTIFIER_FORMAT = 'stockgate-id';

/** The format name of ids of existing rows. */
export const STORED_IDENTIFIER_FORMAT = 'stockgate-stored-id';

/** The format name of free text in every schema. */
export const TEXT_FORMAT = 'stockgate-text';

/** The format name of points in time in requests. */
export const MOMENT_FORMAT = 'stockgate-moment';

/** The keyword that describes in words the texts that a `pattern` allows: `1 to 64 letters`. */
export const ALLOWED_KEYWORD = 'x-allowed';

const FORMAT_RULES: Readonly<Record<string, string>> = {
  [IDENTIFIER_FORMAT]: IDENTIFIER_RULE,
  [STORED_IDENTIFIER_FORMAT]: STORED_IDENTIFIER_RULE,
  [TEXT_FORMAT]: 'must be well-formed text without control characters',
  [MOMENT_FORMAT]: 'must be a time in UTC from 1970 on, like 2026-11-27T08:00:00Z or with up to three decimals',
};

/** The keywords of JSON Schema that the schemas for input use. */
export interface SchemaNode {
  readonly type?: string;
  readonly format?: string;
  readonly pattern?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly SchemaNode[];
  readonly not?: SchemaNode;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  /** The value is secret: no message shows it. */
  readonly writeOnly?: boolean;
  readonly [ALLOWED_KEYWORD]?: string;
}

/** Describes everything that a schema allows, as `must be …`. The text does not depend on the keyword that failed. */
export function rule(schema: SchemaNode): string {
  if (schema.enum !== undefined) return `must be ${joinNames(schema.enum.map(shown))}`;
  if ('const' in schema) return `must be ${shown(schema.const)}`;
  if (schema.anyOf !== undefined) {
    const branches = schema.anyOf.map((branch) => rule(branch).replace(/^must be /, ''));
    return `must be ${joinNames(branches)}`;
  }
  if (schema[ALLOWED_KEYWORD] !== undefined) return `must be ${schema[ALLOWED_KEYWORD]}`;
  const other = schema.not === undefined || !('const' in schema.not) ? '' : `, other than ${shown(schema.not.const)}`;
  return ruleOfType(schema) + other;
}

/** Names the value that was found; empty if the value is secret. */
export function finding(schema: SchemaNode, value: unknown): string {
  if (schema.writeOnly === true) return '';
  if (schema.type === 'array' && Array.isArray(value)) return `, found ${value.length} items`;
  // A text in place of an object or a list may hold a secret, such as an address with a password.
  const isSecretMaybe = (schema.type === 'object' || schema.type === 'array') && typeof value === 'string';
  return `, found ${isSecretMaybe ? 'a text' : shown(value)}`;
}

function ruleOfType(schema: SchemaNode): string {
  const { type, format, minimum, maximum, minLength, maxLength, minItems, maxItems, properties = {} } = schema;
  switch (type) {
    case 'integer':
      return `must be a whole number${range(minimum, maximum)}`;
    case 'number':
      return `must be a number${range(minimum, maximum)}`;
    case 'boolean':
      return 'must be true or false';
    case 'string': {
      const length = size(minLength, maxLength, 'characters');
      if (format === undefined) return `must be a text${length}`;
      return (FORMAT_RULES[format] ?? `must be a text of the format ${format}`) + (length === '' ? '' : `,${length}`);
    }
    case 'array':
      return `must be a list${size(minItems, maxItems, 'items')}`;
    case 'object':
      return `must be an object with ${joinNames(Object.keys(properties), 'and')}`;
    case undefined:
    default:
      return `must be ${type ?? 'something else'}`;
  }
}

function range(least: number | undefined, most: number | undefined): string {
  if (least === undefined) return most === undefined ? '' : `, at most ${most}`;
  return most === undefined ? `, at least ${least}` : ` from ${least} to ${most}`;
}

function size(least: number | undefined, most: number | undefined, unit: string): string {
  if (least === undefined) return most === undefined ? '' : ` of at most ${most} ${unit}`;
  return most === undefined ? ` of at least ${least} ${unit}` : ` of ${least} to ${most} ${unit}`;
}

/** Joins names: `a`, `a or b`, `a, b or c`. */
export function joinNames(names: readonly string[], word = 'or'): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} ${word} ${names.at(-1) ?? ''}`;
}
