import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ErrorObject } from 'ajv/dist/2020.js';
import type { Static, TSchema } from 'typebox';
import { isIdentifier, isStoredIdentifier } from '../core/identifier.ts';
import type { Fault } from './fault.ts';
import { readSettingTexts } from './settingTexts.ts';
import {
  ALLOWED_KEYWORD,
  joinNames,
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
  /** The form of times in answers: ISO 8601 in UTC. */
  'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/,
};

/** Rejects days that do not exist; `Date.parse` would carry them over into the next month. */
function isMoment(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$/.test(text)) return false;
  const ms = Date.parse(text);
  return ms >= 0 && new Date(ms).toISOString().startsWith(text.slice(0, 19));
}

/**
 * One instance serves all checkers, so that a schema is compiled once for all gateways of a process. Schemas are not
 * validated against the meta-schema: to compile it takes longer than everything else at a start, and strict mode finds
 * unknown keywords too.
 */
const STRICT = { allErrors: true, strict: true, verbose: true, validateSchema: false, keywords: [ALLOWED_KEYWORD] };
const inputs = new Ajv2020({ ...STRICT, formats: FORMATS });
const settings = new Ajv2020({ ...STRICT, useDefaults: true });

/** More faults than this in one input are counted, not listed. */
const FAULTS_MAX = 1_000;

/**
 * Makes a checker for a schema. The input is never changed and nothing is converted: `"5"` is not 5.
 *
 * @param root the name of the whole input in the path of a fault
 * @returns a function that returns the typed value, or every fault with its path
 */
export function compile<S extends TSchema>(schema: S, root: string): (input: unknown) => Checked<Static<S>> {
  return check(inputs, schema, root);
}

/**
 * Makes a checker for settings that are texts (environment variables). `readSettingTexts` reads numbers and booleans
 * from their texts. An absent setting gets its default.
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
    const errors = (validate.errors ?? []).filter(isNotOfAlternative);
    const named = withoutDuplicates(errors.slice(0, FAULTS_MAX).map(toFault));
    const faults = named.map(({ path, message }) => ({ path: path || root, message }));
    if (errors.length > FAULTS_MAX)
      faults.push({ path: root, message: `and ${errors.length - FAULTS_MAX} more faults` });
    return { ok: false, faults };
  };
}

/**
 * Leaves out errors of single alternatives: the fault of the whole `anyOf` names the values that each of them allows.
 */
function isNotOfAlternative({ schemaPath }: ErrorObject): boolean {
  return !/\/anyOf\/\d/.test(schemaPath);
}

/** Removes equal faults. A value that fails several keywords of a schema has one message, which names them all. */
function withoutDuplicates(faults: readonly Fault[]): Fault[] {
  return [...new Map(faults.map((fault) => [`${fault.path}\n${fault.message}`, fault])).values()];
}

interface ListLimit {
  readonly name: string;
  readonly itemsMax: number;
  readonly schema: SchemaNode;
}

/** The lists with a limit among the direct fields of a schema. */
function listLimits(schema: TSchema): ListLimit[] {
  const { properties = {} } = schema as SchemaNode;
  return Object.entries(properties).flatMap(([name, list]) =>
    list.maxItems === undefined ? [] : [{ name, itemsMax: list.maxItems, schema: list }],
  );
}

/** The fault of a list that is too long. Checked first: naming the faults of 100,000 items would delay all requests. */
function overlong(input: unknown, { name, itemsMax, schema }: ListLimit): Fault[] {
  const list: unknown =
    typeof input === 'object' && input !== null && Object.hasOwn(input, name)
      ? (input as Record<string, unknown>)[name]
      : null;
  if (!Array.isArray(list) || list.length <= itemsMax) return [];
  return [{ path: name, message: rule(schema) + finding(schema, list) }];
}

/** Words the faults of all schemas: the field, the allowed values and the value found. */
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
      const known = names.length === 0 ? 'none is known here' : `known here: ${joinNames(names, 'and')}`;
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
