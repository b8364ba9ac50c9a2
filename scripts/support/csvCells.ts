import {
  IDENTIFIER_RULE,
  isIdentifier,
  isStoredIdentifier,
  STORED_IDENTIFIER_RULE,
} from '../../src/core/identifier.ts';
import { hasInvisible, quoted } from '../../src/core/visible.ts';

/** More ids than these are only counted in a warning. */
const WARNED_MAX = 10;

/** Checks a cell that must hold a new id. @returns null when it fits, otherwise the fault for a message */
export function idFault(column: string, text: string): string | null {
  return isIdentifier(text) ? null : `${column} is ${quoted(text)}, it ${IDENTIFIER_RULE}`;
}

/** The same for an id that a row may have already. */
export function storedIdFault(column: string, text: string): string | null {
  return isStoredIdentifier(text) ? null : `${column} is ${quoted(text)}, it ${STORED_IDENTIFIER_RULE}`;
}

/** The same for a whole number in digits; the exact value as written decides. */
export function wholeNumberFault(column: string, text: string, min: number, max: number): string | null {
  const fits = /^\d{1,19}$/.test(text) && BigInt(text) >= BigInt(min) && BigInt(text) <= BigInt(max);
  return fits ? null : `${column} is ${quoted(text)}, it must be a whole number from ${min} to ${max} in digits`;
}

/** Collects the ids of a file that look like others, because some of their characters cannot be seen. */
export class InvisibleIds {
  readonly #found = new Map<string, string>();

  note(line: number, column: string, id: string): void {
    if (hasInvisible(id) && !this.#found.has(id)) this.#found.set(id, `line ${line}, ${column} ${quoted(id)}`);
  }

  /** Warns on standard error when there are any: such an id is not the same as the text without these characters. */
  warn(file: string): void {
    const count = this.#found.size;
    if (count === 0) return;
    const named = [...this.#found.values()].slice(0, WARNED_MAX);
    const more = count > named.length ? [`and ${count - named.length} more`] : [];
    const what =
      count === 1
        ? '1 id has characters that cannot be seen; it is'
        : `${count} ids have characters that cannot be seen; they are`;
    console.error(
      [
        `warning: ${file}: ${what} kept as written, and not equal to an id without these characters:`,
        ...named,
        ...more,
      ].join('\n  '),
    );
  }
}
