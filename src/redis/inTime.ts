import { NoAnswer } from './failures.ts';

/**
 * Waits for something no longer than so many milliseconds.
 *
 * @throws NoAnswer when that takes longer; what is waited for goes on, and how it ends is nobody's any more
 */
export function inTime<T>(work: Promise<T>, waitMs: number, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new NoAnswer(`${what} took longer than ${Math.round(waitMs)} ms`)), waitMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
