import type { DeadlineMs } from '../../core/nouns.ts';

/**
 * What time it is on a shard, told from when it was last asked. Our own clock of the day is never used. It answered at some
 * time between being asked and being heard, so a moment of ours is known to within that.
 */
export class ShardClock {
  #epochMs = 0;
  #askedMs = 0;
  #heardMs = 0;

  /** @param epochMs what the shard said, asked at `askedMs` and heard now */
  learn(epochMs: number, askedMs: number): void {
    this.#epochMs = epochMs;
    this.#askedMs = askedMs;
    this.#heardMs = performance.now();
  }

  /** A moment of ours as the shard writes it, in UTC; not later than it is there. */
  earliest(momentMs: DeadlineMs): string {
    return textOf(this.#epochMs + (momentMs - this.#heardMs));
  }

  /** The same; not earlier than it is there. */
  latest(momentMs: DeadlineMs): string {
    return textOf(this.#epochMs + (momentMs - this.#askedMs));
  }
}

function textOf(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('T', ' ').replace('Z', '');
}
