import { isStoredIdentifier } from '../core/identifier.ts';
import { JOURNALS } from '../core/books/journal.ts';
import type { JournalPosition } from '../core/books/journal.ts';

/** The first element of every cursor. Raised when the form of cursors changes. */
const VERSION = 1;

/** Encodes the end of a page as a text that callers send back unchanged. */
export function encodeCursor({ created_at, journal, ids }: JournalPosition): string {
  return Buffer.from(JSON.stringify([VERSION, created_at, JOURNALS.indexOf(journal), ...ids]), 'utf8').toString(
    'base64url',
  );
}

/** @returns null for anything that `encodeCursor` does not write */
export function decodeCursor(cursor: string): JournalPosition | null {
  const position = positionOf(parsed(Buffer.from(cursor, 'base64url').toString('utf8')));
  // Base64 and JSON have several spellings of the same value. Only the spelling of `encodeCursor` is accepted.
  return position !== null && encodeCursor(position) === cursor ? position : null;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}

function positionOf(parts: unknown): JournalPosition | null {
  if (!Array.isArray(parts) || parts.length !== 5) return null;
  const [, created_at, journalIndex, first, second] = parts as unknown[];
  const journal = typeof journalIndex === 'number' ? JOURNALS[journalIndex] : undefined;
  if (
    journal === undefined ||
    typeof created_at !== 'string' ||
    typeof first !== 'string' ||
    typeof second !== 'string'
  )
    return null;
  // A cancellation has no return id, and only returns have a second one.
  const isKey = isStoredIdentifier(first) && (second === '' || (journal === 'return' && isStoredIdentifier(second)));
  return isKey && isMoment(created_at) ? { created_at, journal, ids: [first, second] } : null;
}

/** Whether a text has the form `2026-11-20T10:00:00.123456Z` and names a day that exists. */
function isMoment(text: string): boolean {
  if (!/^[1-9]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(text)) return false;
  const ms = Date.parse(`${text.slice(0, 23)}Z`);
  return !Number.isNaN(ms) && new Date(ms).toISOString() === `${text.slice(0, 23)}Z`;
}
