import type { Change } from './commitChange.ts';
import { Unreadable } from './failures.ts';

/** The same change, which also reports a row that it cannot read. */
export function reportingUnreadable<Outcome>(
  change: Change<Outcome>,
  report: (error: Unreadable) => void,
): Change<Outcome> {
  const reporting = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (error instanceof Unreadable) report(error);
      throw error;
    }
  };
  return {
    attempt: (transaction) => reporting(change.attempt(transaction)),
    resolveInDoubt: (transaction) => reporting(change.resolveInDoubt(transaction)),
  };
}
