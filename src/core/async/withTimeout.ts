/**
 * Waits for work for a limited time. After that the work goes on, and its result is dropped.
 *
 * @param ms how long to wait, in milliseconds; 0 or less: only for work that has ended already
 * @param failure makes the error that is thrown when the time is over
 * @throws the error of the work, or `failure()`
 */
export function withTimeout<T>(work: Promise<T>, ms: number, failure: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(failure()), Math.max(0, ms));
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
