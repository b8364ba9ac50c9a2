/** Counts who waits for a shard, at whichever door, so that together they stay within one bound. */
export class WaitingRoom {
  readonly max: number;
  #count = 0;

  constructor(max: number) {
    this.max = max;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * @param spare how many of those who wait will be let in without anybody leaving
   * @returns false when the room is full; otherwise `leave` must follow
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
