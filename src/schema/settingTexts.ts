import { isSafeNumber } from 'lossless-json';
import type { TSchema } from 'typebox';
import { quoted } from '../core/text/visible.ts';
import type { Fault } from './fault.ts';

interface Property {
  readonly type?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

/**
 * Reads the numbers and switches among settings from their texts. The exact text decides: `1e3`, ` 8080` and
 * `0.99999999999999999` are not whole numbers, and no value is rounded into the allowed range.
 *
 * @returns the settings with the values read, and a fault for every text that does not fit
 */
export function readSettingTexts(
  schema: TSchema,
  input: Readonly<Record<string, unknown>>,
): { readonly settings: Record<string, unknown>; readonly faults: readonly Fault[] } {
  const { properties = {} } = schema as { properties?: Record<string, Property> };
  const settings: Record<string, unknown> = { ...input };
  const faults: Fault[] = [];
  for (const [path, property] of Object.entries(properties)) {
    const text = input[path];
    const form = formOf(property);
    if (typeof text !== 'string' || form === null) continue;
    const value = form.read(text);
    if (value === null) faults.push({ path, message: `must be ${form.expected}, found ${quoted(text)}` });
    else settings[path] = value;
  }
  return { settings, faults };
}

interface Form {
  readonly expected: string;
  /** @returns null when the text does not fit */
  read(text: string): number | boolean | null;
}

/** @returns null for a setting that stays a text */
function formOf({
  type,
  minimum = -Number.MAX_SAFE_INTEGER,
  maximum = Number.MAX_SAFE_INTEGER,
}: Property): Form | null {
  // Adding 0 turns `-0` into 0.
  const within = (text: string): number | null =>
    isSafeNumber(text) && Number(text) >= minimum && Number(text) <= maximum ? Number(text) + 0 : null;
  switch (type) {
    case 'integer':
      return {
        expected: `a whole number from ${minimum} to ${maximum}, in digits`,
        read: (text) => (/^-?\d+$/.test(text) ? within(text) : null),
      };
    case 'number':
      return {
        expected: `a decimal number from ${minimum} to ${maximum} with at most 15 digits`,
        read: (text) => (/^-?\d+(\.\d+)?$/.test(text) ? within(text) : null),
      };
    case 'boolean':
      return { expected: 'true or false', read: (text) => (text === 'true' ? true : text === 'false' ? false : null) };
    case undefined:
    default:
      return null;
  }
}
