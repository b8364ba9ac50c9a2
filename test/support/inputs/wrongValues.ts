import type { SchemaNode } from '../../../src/schema/wording.ts';

/** An input that violates one keyword of a schema in one place. */
export interface WrongValue {
  readonly keyword: string;
  readonly path: string;
  readonly input: unknown;
  /** Texts that the message must contain: they name the allowed values. */
  readonly allowed: readonly string[];
  /** The text by which the message must name the value found; null when there was no value. */
  readonly found: string | null;
}

const ID_RULE = '1 to 64 bytes of well-formed UTF-8 with no control character and no white space at either end';

interface ObjectNode extends SchemaNode {
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
  readonly items?: ObjectNode;
  readonly properties?: Readonly<Record<string, ObjectNode>>;
}

const SAMPLES: Readonly<Record<string, unknown>> = {
  'stockgate-moment': '2026-11-27T08:00:00Z',
  'stockgate-text': 'text',
};

/** A value that a schema accepts, with every optional field. */
export function sampleOf(schema: ObjectNode): unknown {
  if (schema.enum !== undefined) return schema.enum[0];
  switch (schema.type) {
    case 'object':
      return Object.fromEntries(
        Object.entries(schema.properties ?? {}).map(([name, inner]) => [name, sampleOf(inner)]),
      );
    case 'array':
      return [sampleOf(schema.items ?? {})];
    case 'integer':
      return Math.max(1, schema.minimum ?? 1);
    case undefined:
    default:
      return SAMPLES[schema.format ?? ''] ?? '7';
  }
}

/** One wrong input for every keyword in every place of a schema. */
export function wrongValues(schema: ObjectNode, path = ''): WrongValue[] {
  const own = ownFaults(schema, path);
  if (schema.type === 'array') {
    const inner = wrongValues(schema.items ?? {}, `${path}[0]`);
    return [...own, ...inner.map((wrong) => ({ ...wrong, input: [wrong.input] }))];
  }
  const sample = sampleOf(schema) as Record<string, unknown>;
  const inner = Object.entries(schema.properties ?? {}).flatMap(([name, property]) =>
    wrongValues(property, path === '' ? name : `${path}.${name}`).map((wrong) => ({
      ...wrong,
      input: { ...sample, [name]: wrong.input },
    })),
  );
  return [...own, ...inner];
}

function ownFaults(schema: ObjectNode, path: string): WrongValue[] {
  const { type, format, pattern, minimum, maximum, maxLength, minItems, maxItems, not } = schema;
  const allowed = allowedBy(schema);
  const faults: WrongValue[] = [];
  const add = (keyword: string, input: unknown, found: string): void => {
    faults.push({ keyword, path, input, allowed, found });
  };
  if (schema.enum !== undefined) {
    add('enum', 'other', '"other"');
    add('enum', null, 'null');
    return faults;
  }
  if (type === 'integer') {
    add('type', '5', '"5"');
    add('type', 1.5, '1.5');
    add('type', Symbol('0.99999999999999999'), '0.99999999999999999');
  } else if (type === 'string') add('type', 5, '5');
  else add('type', 5, '5');
  if (type === 'array' || type === 'object') add('type', 'redis://user:password@host', 'a text');
  if (minimum !== undefined) add('minimum', minimum - 1, String(minimum - 1));
  if (maximum !== undefined) add('maximum', maximum + 1, String(maximum + 1));
  if (not?.const !== undefined) add('not', not.const, JSON.stringify(not.const));
  if (maxLength !== undefined) add('maxLength', 'x'.repeat(maxLength + 1), `"${'x'.repeat(60)}"…`);
  if (format !== undefined) add('format', 'a\u200b\u0007', '"a\\u200b\\u0007"');
  if (pattern !== undefined) add('pattern', '0', '"0"');
  if (minItems !== undefined) add('minItems', [], '0 items');
  const items = Array.from({ length: (maxItems ?? 0) + 1 }, () => sampleOf(schema.items ?? {}));
  if (maxItems !== undefined) add('maxItems', items, `${items.length} items`);
  return [...faults, ...faultsOfObject(schema, path)];
}

function faultsOfObject(node: ObjectNode, path: string): WrongValue[] {
  const { required = [], properties = {}, additionalProperties, ...schema } = node;
  const sample = sampleOf({ ...schema, properties }) as Record<string, unknown>;
  const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
  const missing = required.map((name) => {
    const input = Object.fromEntries(Object.entries(sample).filter(([other]) => other !== name));
    const allowed = ['is required', ...allowedBy(properties[name] ?? {})];
    return { keyword: 'required', path: at(name), input, allowed, found: null };
  });
  if (additionalProperties !== false) return missing;
  const input = { ...sample, unknown: 1 };
  const allowed = Object.keys(properties);
  return [...missing, { keyword: 'additionalProperties', path: at('unknown'), input, allowed, found: null }];
}

/** The texts that a message must contain to name the allowed values, derived from the schema by hand. */
function allowedBy(schema: ObjectNode): string[] {
  const { type, format, pattern, minimum, maximum, maxLength, minItems, maxItems, not } = schema;
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value));
  const given = [minimum, maximum, maxLength, minItems, maxItems, not?.const];
  const limits = given.filter((limit) => limit !== undefined).map(String);
  if (type === 'integer') return ['must be a whole number', ...limits];
  if (type === 'array') return ['must be a list', ...limits];
  if (type === 'object') return ['must be an object with', ...Object.keys(schema.properties ?? {})];
  if (pattern !== undefined) return ['must be a whole number from 1 to 500'];
  const ofFormat: Readonly<Record<string, string>> = {
    'stockgate-id': `${ID_RULE}, and not "." or ".."`,
    'stockgate-stored-id': ID_RULE,
    'stockgate-moment': 'a time in UTC',
    'stockgate-text': 'well-formed text without control characters',
  };
  return [ofFormat[format ?? ''] ?? 'must be a text', ...limits];
}
