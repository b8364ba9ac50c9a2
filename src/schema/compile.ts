import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ErrorObject } from 'ajv/dist/2020.js';
import type { Static, TSchema } from 'typebox';
import { isIdentifier, isStoredIdentifier } from '../core/identifier.ts';
import type { Fault } from './fault.ts';
import { readSettingTexts } from './settingTexts.ts';
import {
  ALLOWED_KEYWORD,
  either,
  finding,
  IDENTIFIER_FORMAT,
  MOMENT_FORMAT,
  rule,
  STORED_IDENTIFIER_FORMAT,
  TEXT_FORMAT,
} from './wording.ts';
import type { SchemaNode } from './wording.ts';

export type { Fault } from './fault.ts';

export type Checked<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly faults: readonly Fault[] };

const FORMATS = {
  [TEXT_FORMAT]: (text: string) => text.isWellFormed() && !/\p{Cc}/u.test(text),
  [MOMENT_FORMAT]: isMoment,
  [IDENTIFIER_FORMAT]: isIdentifier,
  [STORED_IDENTIFIER_FORMAT]: isStoredIdentifier,
  /** Times as we write them: ISO 8601 in UTC. */
  'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/,
};

/** Days that no month has are refused, not carried over into the next. */
function isMoment(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$/.test(text)) return false;
  const ms = Date.parse(text);
  return ms >= 0 && new Date(ms).toISOString().startsWith(text.slice(0, 19));
}

/**
 * One for all checkers, because what it compiled for one gateway serves the next. Schemas are not held against their own schema:
 * to compile that takes longer than everything else at a start, and a keyword that is none is found in strict mode too.
 */
const STRICT = { allErrors: true, strict: true, verbose: true, validateSchema: false, keywords: [ALLOWED_KEYWORD] };
const inputs = new Ajv2020({ ...STRICT, formats: FORMATS });
const settings = new Ajv2020({ ...STRICT, useDefaults: true });

/** More faults than this in one input are counted, not listed. */
const FAULTS_MAX = 1_000;

/**
 * Makes a checker for a schema. The input is never changed and nothing is converted: `"5"` is not 5.
 *
 * @param root what the whole input is called in a fault's path
 * @returns a function that tells the typed value or every fault with its path
 */
export function compile<S extends TSchema>(schema: S, root: string): (input: unknown) => Checked<Static<S>> {
  return check(inputs, schema, root);
}

/**
 * Makes a checker for settings that come as texts (environment variables): numbers and booleans are read from their
 * texts, as `readSettingTexts` says, and what is absent gets its default.
 */
export function compileSettings<S extends TSchema>(schema: S): (input: Record<string, unknown>) => Checked<Static<S>> {
  const checker = check(settings, schema, 'settings');
  return (input) => {
    const { settings: read, faults } = readSettingTexts(schema, input);
    return faults.length > 0 ? { ok: false, faults } : checker(read);
  };
}

function check<S extends TSchema>(ajv: Ajv2020, schema: S, root: string): (input: unknown) => Checked<Static<S>> {
  const validate = ajv.compile(schema);
  const limits = listLimits(schema);
  return (input) => {
    const tooLong = limits.flatMap((limit) => overlong(input, limit));
    if (tooLong.length > 0) return { ok: false, faults: tooLong };
    if (validate(input)) return { ok: true, value: input as Static<S> };
    const errors = (validate.errors ?? []).filter(isOwn);
    const named = distinct(errors.slice(0, FAULTS_MAX).map(toFault));
    const faults = named.map(({ path, message }) => ({ path: path || root, message }));
    if (errors.length > FAULTS_MAX)
      faults.push({ path: root, message: `and ${errors.length - FAULTS_MAX} more faults` });
    return { ok: false, faults };
  };
}

/** Not what one of several alternatives finds: the fault of all of them together names what each allows. */
function isOwn({ schemaPath }: ErrorObject): boolean {
  return !/\/anyOf\/\d/.test(schemaPath);
}

/** A value can fail several keywords of one schema; its message names them all. */
function distinct(faults: readonly Fault[]): Fault[] {
  return [...new Map(faults.map((fault) => [`${fault.path}\n${fault.message}`, fault])).values()];
}

interface ListLimit {
  readonly name: string;
  readonly itemsMax: number;
  readonly schema: SchemaNode;
}

/** The lists among a schema's own fields that have a limit. */
function listLimits(schema: TSchema): ListLimit[] {
  const { properties = {} } = schema as SchemaNode;
  return Object.entries(properties).flatMap(([name, list]) =>
    list.maxItems === undefined ? [] : [{ name, itemsMax: list.maxItems, schema: list }],
  );
}

/** Told before anything else is looked at: naming the faults of a hundred thousand items would hold up everybody. */
function overlong(input: unknown, { name, itemsMax, schema }: ListLimit): Fault[] {
  const list: unknown =
    typeof input === 'object' && input !== null && Object.hasOwn(input, name)
      ? (input as Record<string, unknown>)[name]
      : null;
  if (!Array.isArray(list) || list.length <= itemsMax) return [];
  return [{ path: name, message: rule(schema) + finding(schema, list) }];
}

/** The one place that words the faults of all schemas: the field, the allowed values and the value found. */
function toFault(error: ErrorObject): Fault {
  const path = pathOf(error.instancePath);
  const schema = error.parentSchema as SchemaNode;
  const { properties = {} } = schema;
  switch (error.keyword) {
    case 'required': {
      const name = String(error.params['missingProperty']);
      return { path: join(path, name), message: `is required and ${rule(properties[name] ?? {})}` };
    }
    case 'additionalProperties': {
      const names = Object.keys(properties);
      const known = names.length === 0 ? 'none is known here' : `known here: ${either(names, 'and')}`;
      const name = String(error.params['additionalProperty']);
      return { path: join(path, name), message: `is not a known field; ${known}` };
    }
    default:
      return { path, message: rule(schema) + finding(schema, error.data) };
  }
}

/** `/lines/3/quantity` → `lines[3].quantity` */
function pathOf(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce((path, part) => (/^\d+$/.test(part) ? `${path}[${part}]` : join(path, part)), '');
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
