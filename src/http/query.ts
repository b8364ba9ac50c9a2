import { parse } from 'node:querystring';
import { invalid, Rejection } from './errors.ts';

/**
 * Reads a query string whose percent-encoding was found well-formed.
 *
 * @throws Rejection when a parameter is given twice
 */
export function readQuery(text: string): Record<string, unknown> {
  if (text === '') return {};
  // `maxKeys: 0` removes the parser's limit of 1,000 parameters, above which it drops the rest without an error.
  const parameters = Object.entries(parse(text, '&', '=', { maxKeys: 0 }));
  const repeated = parameters.filter(([, value]) => typeof value !== 'string');
  if (repeated.length > 0) {
    throw new Rejection(
      invalid(repeated.map(([name]) => ({ path: name || 'query', message: 'is given more than once' }))),
    );
  }
  // An assignment would set the prototype for `__proto__`, and the parameter would not be rejected.
  return Object.fromEntries(parameters);
}
