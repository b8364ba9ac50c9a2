import type { DeadlineMs } from '../../core/nouns.ts';

/** What time it is on a shard, told from when it was last heard of. Our own clock of the day is never asked. */
export class ShardClock {
  #epochMs = 0;
  #heardMs = 0;

  /** @param epochMs what the shard said, between being asked and now: late by the way of the answer, never early */
  learn(epochMs: number): void {
    this.#epochMs = epochMs;
    this.#heardMs = performance.now();
  }

  /** A moment of ours as the shard writes it, in UTC. */
  textOf(momentMs: DeadlineMs): string {
    return new Date(this.#epochMs + (momentMs - this.#heardMs)).toISOString().replace('T', ' ').replace('Z', '');
  }
}
