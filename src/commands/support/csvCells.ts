import { IDENTIFIER_RULE, isIdentifier, isStoredIdentifier, STORED_IDENTIFIER_RULE } from '../../core/identifier.ts';
import { hasInvisible, quoted } from '../../core/text/visible.ts';

/** A warning names at most this many ids, and counts the others. */
const WARNED_MAX = 10;

/** Checks a cell that must contain a new id. @returns null when it is valid, otherwise the fault for a message */
export function idFault(column: string, text: string): string | null {
  return isIdentifier(text) ? null : `${column} is ${quoted(text)}, it ${IDENTIFIER_RULE}`;
}

/** The same for an id that a stored row may have. */
export function storedIdFault(column: string, text: string): string | null {
  return isStoredIdentifier(text) ? null : `${column} is ${quoted(text)}, it ${STORED_IDENTIFIER_RULE}`;
}

/** The same for a whole number in digits; the exact written value is compared. */
export function wholeNumberFault(column: string, text: string, min: number, max: number): string | null {
  const fits = /^\d{1,19}$/.test(text) && BigInt(text) >= BigInt(min) && BigInt(text) <= BigInt(max);
  return fits ? null : `${column} is ${quoted(text)}, it must be a whole number from ${min} to ${max} in digits`;
}

/** Collects ids of a file that contain invisible characters, and so look like other ids. */
export class InvisibleIds {
  readonly #found = new Map<string, string>();

  add(line: number, column: string, id: string): void {
    if (hasInvisible(id) && !this.#found.has(id)) this.#found.set(id, `line ${line}, ${column} ${quoted(id)}`);
  }

  /** Warns on standard error when there are any: such an id differs from the same text without these characters. */
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
