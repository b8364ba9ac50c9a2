/** The most retries that can be saved up, and the share that a first attempt adds: retries stay a tenth of the load. */
const TOKENS_MAX = 10;
const TOKENS_PER_ATTEMPT = 0.1;

/**
 * Bounds the retries at one shard, so that a shard in trouble does not get several times the requests of a healthy one.
 */
export class RetryBudget {
  #tokens = TOKENS_MAX;
  #retries = 0;

  /** Retries made so far, for metrics. */
  get retries(): number {
    return this.#retries;
  }

  /** Call it for every first attempt. */
  earn(): void {
    this.#tokens = Math.min(TOKENS_MAX, this.#tokens + TOKENS_PER_ATTEMPT);
  }

  /** @returns false when the budget is used up */
  spend(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    this.#retries += 1;
    return true;
  }
}
