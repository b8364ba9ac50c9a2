import { isSafeNumber, LosslessNumber, parse } from 'lossless-json';
import { quoted } from '../core/visible.ts';
import type { Fault } from './fault.ts';

/**
 * Reads JSON of which nothing is rounded or dropped. `JSON.parse` returns 3306 for `3306.0000000000000001`, and the
 * last of two members of one name. Here both are rejected. `1`, `1.0` and `1e0` are the same number.
 *
 * @param text nested as deep as the caller allows: this reader is recursive
 * @returns the value, and a fault for every number that has more digits than can be kept
 * @throws SyntaxError when it is not JSON, or an object has two different members of one name
 */
export function parseExactJson(text: string): { readonly value: unknown; readonly faults: readonly Fault[] } {
  const value = parse(text, null, { parseNumber: readNumber, onDuplicateKey: refuseSecond });
  return { value, faults: inexactNumbers(value, '') };
}

function readNumber(text: string): number | LosslessNumber {
  return isSafeNumber(text) ? Number(text) : new LosslessNumber(text);
}

function refuseSecond({ key, position }: { readonly key: string; readonly position: number }): never {
  throw new SyntaxError(
    `the member ${quoted(key)} stands twice in one object (at position ${position}), expected each name once`,
  );
}

const EXACT = `an integer up to ${Number.MAX_SAFE_INTEGER}, or a number of at most 15 digits`;

function inexactNumbers(value: unknown, path: string): Fault[] {
  if (value instanceof LosslessNumber) return [{ path, message: `is ${value.value}, it must be ${EXACT}` }];
  if (typeof value !== 'object' || value === null) return [];
  const pathOf = (name: string): string =>
    Array.isArray(value) ? `${path}[${name}]` : path === '' ? name : `${path}.${name}`;
  return Object.entries(value).flatMap(([name, inner]) => inexactNumbers(inner, pathOf(name)));
}
