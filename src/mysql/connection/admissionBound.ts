/**
 * Counts the requests that wait for a shard, at any of its gates and queues, so that one bound holds for all of them.
 */
export class AdmissionBound {
  readonly max: number;
  #count = 0;

  constructor(max: number) {
    this.max = max;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * @param spare how many of the waiting requests will be admitted although none leaves
   * @returns false when the bound is reached; otherwise `leave` must follow
   */
  enter(spare = 0): boolean {
    if (this.#count >= this.max + spare) return false;
    this.#count += 1;
    return true;
  }

  leave(): void {
    this.#count -= 1;
  }
}
