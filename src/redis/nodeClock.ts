import type { DeadlineMs } from '../core/types.ts';

/** One reading of a node's clock, with the moments on our clock when it was requested and received. */
export interface ClockReading {
  readonly nodeMs: number;
  readonly sentMs: DeadlineMs;
  readonly receivedMs: DeadlineMs;
}

/** The bounds of the offset of the node's clock from ours, in milliseconds. Positive: the node's clock is ahead. */
interface Bounds {
  low: number;
  high: number;
}

/** The readings of half a second: the bounds of all of them together, and those of the narrowest. */
interface Bucket {
  readonly sinceMs: DeadlineMs;
  lastMs: DeadlineMs;
  readonly widest: Bounds;
  narrowest: Bounds;
}

const BUCKET_MS = 500;
/** A reading that took longer can show a step, but its bounds are not used. */
const READING_MS_MAX = 250;
/** A clock that differs by more than this from earlier readings was set. Less is ordinary drift. */
const STEP_MS = 20;
/** After a step no value is used for this time. */
const DISTRUST_MS = 2_000;

/**
 * The clock of one run of one node, estimated from readings. A reading shows that the offset of the node's clock from
 * ours is between `node - heard` and `node - asked`. Moments are converted with the union of the bounds of the last
 * seconds, and always in the direction that makes a stock reading older. So a converted moment stays correct even if
 * the clock was set between two of these readings.
 *
 * A clock that was set, or was not read for too long, begins a new chain of readings. Values written before that chain
 * are not used.
 */
export class NodeClock {
  readonly #windowMs: number;
  #buckets: Bucket[] = [];
  #distrustUntilMs = 0;
  /** The number of the chain of readings; raised by every break. */
  chain = 0;
  /** When the first reading of the chain was received. */
  chainSinceMs: DeadlineMs = Infinity;
  /** How many times the clock was set. */
  steps = 0;

  /** @param windowMs for how long a reading counts, in milliseconds */
  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Adds a reading. @returns false when it shows that the clock was set */
  add({ nodeMs, sentMs, receivedMs }: ClockReading): boolean {
    const bounds = { low: nodeMs - receivedMs, high: nodeMs - sentMs };
    const hadBuckets = this.#buckets.length > 0;
    this.#buckets = this.#buckets.filter(({ lastMs }) => receivedMs - lastMs < this.#windowMs);
    // The clock may have been set in the time without readings.
    if (hadBuckets && this.#buckets.length === 0) this.#breakChain();
    const isStep = this.#buckets.some(
      ({ narrowest: { low, high } }) => bounds.low > high + STEP_MS || bounds.high < low - STEP_MS,
    );
    if (isStep) {
      this.#breakChain();
      this.#distrustUntilMs = receivedMs + DISTRUST_MS;
      this.steps += 1;
    }
    if (receivedMs - sentMs <= READING_MS_MAX) this.#add(bounds, receivedMs);
    return !isStep;
  }

  /** Whether moments may be converted with this clock. */
  isTrusted(nowMs: DeadlineMs): boolean {
    return nowMs >= this.#distrustUntilMs && this.#buckets.length > 0;
  }

  /** Whether the clock was read in the last `ms` milliseconds. */
  wasReadWithin(ms: number, nowMs: DeadlineMs): boolean {
    const last = this.#buckets.at(-1);
    return last !== undefined && nowMs - last.lastMs < ms;
  }

  /**
   * Converts a moment on our clock to the node's clock; the result is never too late. Only while the clock is trusted.
   */
  toNodeClock(momentMs: DeadlineMs): number {
    return momentMs + Math.min(...this.#buckets.map(({ widest }) => widest.low));
  }

  /**
   * Converts a moment on the node's clock to ours; the result is never too late. Only while the clock is trusted.
   *
   * @param heard the reading in the same reply as the moment: its bounds count too
   */
  toOwnClock(nodeMs: number, heard: ClockReading): DeadlineMs {
    return nodeMs - Math.max(heard.nodeMs - heard.sentMs, ...this.#buckets.map(({ widest }) => widest.high));
  }

  #breakChain(): void {
    this.#buckets = [];
    this.chain += 1;
    this.chainSinceMs = Infinity;
  }

  #add(bounds: Bounds, heardMs: DeadlineMs): void {
    if (this.#buckets.length === 0) this.chainSinceMs = heardMs;
    const bucket = this.#buckets.at(-1);
    if (bucket === undefined || heardMs - bucket.sinceMs >= BUCKET_MS) {
      this.#buckets.push({ sinceMs: heardMs, lastMs: heardMs, widest: { ...bounds }, narrowest: bounds });
      return;
    }
    bucket.lastMs = heardMs;
    bucket.widest.low = Math.min(bucket.widest.low, bounds.low);
    bucket.widest.high = Math.max(bucket.widest.high, bounds.high);
    if (bounds.high - bounds.low < bucket.narrowest.high - bucket.narrowest.low) bucket.narrowest = bounds;
  }
}
