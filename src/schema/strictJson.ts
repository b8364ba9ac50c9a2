import { parse } from 'lossless-json';
import { wholeNumberOf } from '../core/text/wholeNumber.ts';

/** Levels of a text whose numbers are read exactly, because that parser is recursive. No valid input has as many. */
const DEPTH_MAX = 100;

const QUOTE = 0x22;
const DOT = 0x2e;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const NINE = 0x39;
const LOWER_E = 0x65;
/** Set in a lower-case ASCII letter, clear in its upper-case one. */
const LOWER_CASE_BIT = 0x20;

/** A text that is not JSON, or that no value represents without loss. The message continues `the body …`. */
export class JsonFault extends Error {}

/**
 * Parses JSON without loss. `JSON.parse` rounds numbers, and keeps the last of several members of one name. This
 * function returns a symbol for a number that is not a whole number of at most 2^53 - 1. Its description is the number
 * as written: no schema accepts it, and `shown` prints it. So no rounded double replaces an exact value.
 *
 * Most texts have no fraction, no exponent and no large number. They are parsed only once.
 *
 * @throws JsonFault when the text is not JSON, names a member twice, or has such a number more than 100 levels deep
 */
export function parseJson(text: string): unknown {
  const value = parseRounded(text);
  const { members, mayRound } = scanText(text);
  const kept = scanValue(value);
  if (members !== kept.members) throw new JsonFault('has an object that names a field twice');
  return mayRound || kept.mayRound ? parseExact(text, value) : value;
}

function parseRounded(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new JsonFault(error instanceof SyntaxError ? `is not JSON: ${error.message}` : 'is not JSON');
  }
}

function parseExact(text: string, rounded: unknown): unknown {
  if (isDeep(rounded)) throw new JsonFault(`has a number to be read exactly, and more than ${DEPTH_MAX} levels`);
  return parse(text, null, (number) => wholeNumberOf(number) ?? Symbol(number));
}

interface Reading {
  /** The number of members of all objects: in a text as written, in its value as kept. */
  readonly members: number;
  /** Whether some number may differ from the number as written. */
  readonly mayRound: boolean;
}

/**
 * Scans a text that parses. Outside strings, a colon means one member, and a dot means a number with a fraction. An `e`
 * after a digit means an exponent; in `true` and `false` it comes after a letter.
 */
function scanText(text: string): Reading {
  let members = 0;
  let mayRound = false;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit === QUOTE) index = endOfString(text, index);
    else if (unit === COLON) members += 1;
    else if (unit === DOT) mayRound = true;
    else if ((unit | LOWER_CASE_BIT) === LOWER_E && text.charCodeAt(index - 1) <= NINE) mayRound = true;
  }
  return { members, mayRound };
}

/** @param start where the string opens. @returns where it closes */
function endOfString(text: string, start: number): number {
  for (let index = start + 1; ; index += 1) {
    const unit = text.charCodeAt(index);
    if (unit === QUOTE) return index;
    if (unit === BACKSLASH) index += 1;
  }
}

/** Scans a value without recursion, because a hostile body may be nested 100,000 levels deep. */
function scanValue(value: unknown): Reading {
  let members = 0;
  let mayRound = false;
  const open: unknown[] = [value];
  while (open.length > 0) {
    const next = open.pop();
    if (typeof next === 'number') mayRound ||= !Number.isSafeInteger(next);
    if (typeof next !== 'object' || next === null) continue;
    const children: unknown[] = Array.isArray(next) ? next : Object.values(next);
    if (!Array.isArray(next)) members += children.length;
    for (const child of children) open.push(child);
  }
  return { members, mayRound };
}

function membersOf(value: unknown): unknown[] {
  return typeof value === 'object' && value !== null ? Object.values(value) : [];
}

function isDeep(value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > DEPTH_MAX) return true;
    level = level.flatMap(membersOf);
  }
  return false;
}
