import type { DeadlineMs } from '../../core/types.ts';

/** Two clocks that were compared within this time have not drifted apart by more than a few milliseconds. */
const READING_AGE_MS_MAX = 60_000;

/** A smaller difference comes from slewing and from the error of the reading. */
const STEP_MS = 50;

/**
 * The time on a shard, computed from the last reading of its clock. The gateway's own clock of the day is never used.
 * The shard read its clock at some time between our question and its answer, so its time is known with that error.
 */
export class ShardClock {
  #epochMs = 0;
  #askedMs = 0;
  #receivedMs = 0;
  #backUntilMs = -Infinity;

  /** @param epochMs the shard's time, asked for at `askedMs` and received now */
  storeReading(epochMs: number, askedMs: number): void {
    const backMs = this.#epochMs === 0 ? 0 : this.#epochMs + (askedMs - this.#receivedMs) - epochMs;
    if (backMs > STEP_MS) this.#backUntilMs = Math.max(this.#backUntilMs, performance.now()) + backMs;
    this.#epochMs = epochMs;
    this.#askedMs = askedMs;
    this.#receivedMs = performance.now();
  }

  /** A moment of our clock in the shard's format, in UTC; not later than the moment is on the shard. */
  earliest(momentMs: DeadlineMs): string {
    return textOf(this.#epochMs + (momentMs - this.#receivedMs));
  }

  /** The same moment; not earlier than it is on the shard. */
  latest(momentMs: DeadlineMs): string {
    return textOf(this.#epochMs + (momentMs - this.#askedMs));
  }

  /** The same in milliseconds since 1970; null while the clock was never read, or not within the last minute. */
  latestMs(momentMs: DeadlineMs): number | null {
    if (this.#epochMs === 0 || momentMs - this.#receivedMs > READING_AGE_MS_MAX) return null;
    return this.#epochMs + (momentMs - this.#askedMs);
  }

  /** Until this moment of our clock, a clock that was set back repeats times that it has already shown. */
  get backUntilMs(): DeadlineMs {
    return this.#backUntilMs;
  }
}

function textOf(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('T', ' ').replace('Z', '');
}
