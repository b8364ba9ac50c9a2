import type { DeadlineMs } from '../../core/nouns.ts';

/** Two clocks that were held against each other so lately have not gone apart by more than a few milliseconds. */
const LEARNT_MS_MAX = 60_000;

/** Less is how clocks are slewed, and how well they can be read. */
const STEP_MS = 50;

/**
 * What time it is on a shard, told from when it was last asked. Our own clock of the day is never used. It answered at some
 * time between being asked and being heard, so a moment of ours is known to within that.
 */
export class ShardClock {
  #epochMs = 0;
  #askedMs = 0;
  #heardMs = 0;
  #backUntilMs = -Infinity;

  /** @param epochMs what the shard said, asked at `askedMs` and heard now */
  learn(epochMs: number, askedMs: number): void {
    const backMs = this.#epochMs === 0 ? 0 : this.#epochMs + (askedMs - this.#heardMs) - epochMs;
    if (backMs > STEP_MS) this.#backUntilMs = Math.max(this.#backUntilMs, performance.now()) + backMs;
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

  /** The same in milliseconds since 1970; null while nobody has asked, or for too long. */
  latestMs(momentMs: DeadlineMs): number | null {
    if (this.#epochMs === 0 || momentMs - this.#heardMs > LEARNT_MS_MAX) return null;
    return this.#epochMs + (momentMs - this.#askedMs);
  }

  /** It was set back: until this moment of ours it repeats times that it has shown already. */
  get backUntilMs(): DeadlineMs {
    return this.#backUntilMs;
  }
}

function textOf(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('T', ' ').replace('Z', '');
}
