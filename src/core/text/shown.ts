import { escaped } from './visible.ts';

/** Characters of a value that a message shows: enough to find the value in the input. */
const CHARACTERS_MAX = 60;

/**
 * Formats a value for a message. A text is shown as JSON with its invisible characters escaped, cut after 60
 * characters. An object or a list is shown by its kind only, because a member may be secret.
 *
 * @param value any value; a symbol is a number that no double holds exactly, and its description is the number as
 *   written
 */
export function shown(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return cut(value, (text) => escaped(JSON.stringify(text)));
    case 'symbol':
      return cut(value.description ?? '', (text) => text);
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value);
    case 'boolean':
    case 'bigint':
      return String(value);
    case 'object':
      if (value === null) return 'null';
      return Array.isArray(value) ? 'a list' : 'an object';
    case 'undefined':
    case 'function':
      return 'nothing';
  }
}

function cut(text: string, show: (text: string) => string): string {
  // Two UTF-16 units per character are enough, so that a long text is not split into characters as a whole.
  const characters = Array.from(text.slice(0, 2 * CHARACTERS_MAX + 2));
  if (characters.length <= CHARACTERS_MAX) return show(text);
  return `${show(characters.slice(0, CHARACTERS_MAX).join(''))}…`;
}
