import { differenceKey, DIFFERENCE_KINDS } from '../../../core/books/reconciliation.ts';
import type { StockDifference } from '../../../core/books/reconciliation.ts';

/** Differences that are stored, at most: those that are left out are found again within a round. */
const STORED_MAX = 1_000;

/** Differences as JSON, with the numbers of units as text. @returns null: there are none */
export function textOfDifferences(differences: readonly StockDifference[]): string | null {
  if (differences.length === 0) return null;
  return JSON.stringify(
    differences
      .slice(0, STORED_MAX)
      .map(({ expected, actual, ...difference }) => ({ ...difference, expected: `${expected}`, actual: `${actual}` })),
  );
}

/** The differences in a text. A text of another form, such as one of a later version, counts as none. */
export function differencesOfText(text: string | null): readonly StockDifference[] {
  try {
    const stored = JSON.parse(text ?? '[]') as readonly (Omit<StockDifference, 'expected' | 'actual'> &
      Record<'expected' | 'actual', string>)[];
    const read = stored
      .filter(({ kind }) => DIFFERENCE_KINDS.includes(kind))
      .map(({ expected, actual, ...rest }) => ({ ...rest, expected: BigInt(expected), actual: BigInt(actual) }));
    // Fails where a member is missing.
    read.forEach(differenceKey);
    return read;
  } catch {
    return [];
  }
}
