import { NoAnswer } from './failures.ts';

/**
 * Waits for work for a limited time.
 *
 * @throws NoAnswer after `waitMs`; the work goes on, and its result is dropped
 */
export function inTime<T>(work: Promise<T>, waitMs: number, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new NoAnswer(`${what} took longer than ${Math.round(waitMs)} ms`)), waitMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
