import { ALLOWED_KEYWORD } from '../../src/schema/wording.ts';
import { codes } from './markdown.ts';

/** The keywords of a schema that the pages show. */
export interface DocumentedSchema {
  readonly type?: string;
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly default?: string | number | boolean;
  readonly description?: string;
  readonly writeOnly?: boolean;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, DocumentedSchema>>;
  readonly items?: DocumentedSchema;
  readonly [ALLOWED_KEYWORD]?: string;
}

/** Describes the values that a schema allows, in a few words. @param name of the setting; its ending may be a unit */
export function typeOf(schema: DocumentedSchema, name: string): string {
  if (schema.enum !== undefined) return codes(schema.enum, 'or');
  if (schema[ALLOWED_KEYWORD] !== undefined) return schema[ALLOWED_KEYWORD];
  const { minimum, maximum } = schema;
  const range = minimum === undefined || maximum === undefined ? '' : `, ${minimum} to ${maximum}`;
  switch (schema.type) {
    case 'integer':
      return `${name.endsWith('_MS') ? 'milliseconds' : 'whole number'}${range}`;
    case 'number':
      return `decimal number${range}`;
    case 'boolean':
      return codes(['true', 'false'], 'or');
    case 'array':
      return `list of ${schema.minItems ?? 0} to ${schema.maxItems ?? 'any number of'}`;
    case 'object':
      return 'object';
    case undefined:
    default:
      return textType(schema);
  }
}

function textType({ maxLength, writeOnly = false }: DocumentedSchema): string {
  const length = maxLength === undefined ? '' : ` of at most ${maxLength} characters`;
  return `${writeOnly ? 'secret text' : 'text'}${length}`;
}
