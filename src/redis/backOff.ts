const FIRST_MS = 50;
const MOST_MS = 2_000;

/** How long to wait before the next try, after so many that failed: doubled each time up to a bound, and never the same for all. */
export function backOffMs(failures: number): number {
  return Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(failures, 10)) * (0.5 + Math.random() / 2);
}
