export interface BreakerOptions {
  /** Outcomes count for this long. */
  readonly windowMs: number;
  /** With fewer failures than this the breaker stays closed. */
  readonly failuresMin: number;
  /** Below this share of successes the breaker opens. */
  readonly successShareMin: number;
}

interface Counts {
  successes: number;
  failures: number;
}

/**
 * Stops requests to a shard that does not answer. Closed: requests pass, and their outcomes are counted. Open: no
 * request passes until a probe is answered. The breaker opens by the share of successes, not by a number of failures in
 * a row. So one locked row among healthy ones does not block the whole shard.
 *
 * The caller passes the time in. The window is kept as two halves.
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

  /** Counts an outcome. @returns true when this outcome opened the breaker */
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

  /** Closes the breaker after a probe was answered. Earlier failures no longer count. */
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
