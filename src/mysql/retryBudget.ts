/** Retries that may be saved up, and what a first attempt adds: retries stay a tenth of the load. */
const TOKENS_MAX = 10;
const TOKENS_PER_ATTEMPT = 0.1;

/** Bounds the retries at one shard, so that a shard in trouble is not asked several times as often as a healthy one. */
export class RetryBudget {
  #tokens = TOKENS_MAX;
  #retries = 0;

  /** Retries made so far, for metrics. */
  get retries(): number {
    return this.#retries;
  }

  /** To be told of every first attempt. */
  earn(): void {
    this.#tokens = Math.min(TOKENS_MAX, this.#tokens + TOKENS_PER_ATTEMPT);
  }

  /** @returns false when there have been too many retries already */
  spend(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    this.#retries += 1;
    return true;
  }
}
