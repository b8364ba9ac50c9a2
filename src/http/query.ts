import { parse } from 'node:querystring';
import { invalid, Rejection } from './errors.ts';

/**
 * Reads a query string whose percent-encoding was found well-formed.
 *
 * @throws Rejection when a parameter is given twice
 */
export function readQuery(text: string): Record<string, string> {
  const query: Record<string, string> = {};
  for (const [name, value] of Object.entries(parse(text))) {
    if (typeof value !== 'string') throw new Rejection(invalid([{ path: name, message: 'is given more than once' }]));
    query[name] = value;
  }
  return query;
}
