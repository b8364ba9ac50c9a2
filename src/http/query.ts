import { parse } from 'node:querystring';
import { invalid, Rejection } from './errors.ts';

/**
 * Reads a query string whose percent-encoding was found well-formed.
 *
 * @throws Rejection when a parameter is given twice
 */
export function readQuery(text: string): Record<string, unknown> {
  if (text === '') return {};
  // Without the limit of 1,000 that the parser has by itself, after which it drops parameters without a word.
  const parameters = Object.entries(parse(text, '&', '=', { maxKeys: 0 }));
  const repeated = parameters.filter(([, value]) => typeof value !== 'string');
  if (repeated.length > 0) {
    throw new Rejection(
      invalid(repeated.map(([name]) => ({ path: name || 'query', message: 'is given more than once' }))),
    );
  }
  // Not by assignment: `__proto__` would then be no parameter at all, and would not be refused.
  return Object.fromEntries(parameters);
}
