export interface BreakerOptions {
  /** How far back outcomes count. */
  readonly windowMs: number;
  /** Fewer failures than this say nothing. */
  readonly failuresMin: number;
  /** Below this share of successes nobody is let through. */
  readonly successShareMin: number;
}

interface Counts {
  successes: number;
  failures: number;
}

/**
 * Tells when asking is useless. Closed: everybody is let through and outcomes are counted. Open: nobody is, until a
 * probe gets an answer. It opens by the share of successes and not by a number of failures in a row, so that one locked
 * row among healthy ones does not close a shard to all.
 *
 * Time is handed in; the window is kept as its two halves.
 */
export class Breaker {
  readonly #options: BreakerOptions;
  #open = false;
  #halfBeganMs = 0;
  #now: Counts = { successes: 0, failures: 0 };
  #before: Counts = { successes: 0, failures: 0 };

  constructor(options: BreakerOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Counts an outcome. @returns true when this one opened the breaker */
  record(succeeded: boolean, nowMs: number): boolean {
    this.#advance(nowMs);
    if (succeeded) this.#now.successes += 1;
    else this.#now.failures += 1;
    if (this.#open || succeeded) return false;
    const failures = this.#now.failures + this.#before.failures;
    const successes = this.#now.successes + this.#before.successes;
    this.#open =
      failures >= this.#options.failuresMin && successes < this.#options.successShareMin * (successes + failures);
    return this.#open;
  }

  /** A probe was answered: what failed before does not count any more. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#now = { successes: 0, failures: 0 };
    this.#before = { successes: 0, failures: 0 };
  }

  #advance(nowMs: number): void {
    const halfMs = this.#options.windowMs / 2;
    const passed = nowMs - this.#halfBeganMs;
    if (passed < halfMs) return;
    this.#before = passed < 2 * halfMs ? this.#now : { successes: 0, failures: 0 };
    this.#now = { successes: 0, failures: 0 };
    this.#halfBeganMs = nowMs;
  }
}
