import type { DeadlineMs } from '../core/nouns.ts';

/** What a node's clock said, asked and heard at moments of ours. */
export interface Reading {
  readonly nodeMs: number;
  readonly askedMs: DeadlineMs;
  readonly heardMs: DeadlineMs;
}

/** What the node's clock is ahead of ours, in milliseconds: somewhere from one to the other. */
interface Bounds {
  low: number;
  high: number;
}

/** The readings of half a second: all of what they allow, and what the sharpest of them allows. */
interface Bucket {
  readonly sinceMs: DeadlineMs;
  lastMs: DeadlineMs;
  readonly all: Bounds;
  sharpest: Bounds;
}

const BUCKET_MS = 500;
/** A reading that took longer proves a step, but nothing is told from it. */
const READING_MS_MAX = 250;
/** Clocks that differ from what was read before by more than this were set; less is how clocks go. */
const STEP_MS = 20;
/** For so long nothing is believed after that. */
const BLIND_MS = 2_000;

/**
 * The clock of one run of one node, told from readings. A reading says that the node's clock is ahead of ours by something between
 * `node - heard` and `node - asked`. Everything is told from the hull of what the readings of the last seconds allow, and in
 * the direction that makes a sight older: so what is told stays true if the clock was set since some of them.
 *
 * A clock that was set, or not read for too long, begins a new chain of readings. What was written before that chain is believed by nobody.
 */
export class NodeClock {
  readonly #windowMs: number;
  #buckets: Bucket[] = [];
  #blindUntilMs = 0;
  /** Grows with every break. */
  chain = 0;
  /** When the first reading of the chain was heard. */
  chainSinceMs: DeadlineMs = Infinity;
  /** How often the clock was set. */
  steps = 0;

  /** @param windowMs how old the oldest readings are, in milliseconds */
  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  /** Learns from a reading. @returns false when it shows that the clock was set */
  learn({ nodeMs, askedMs, heardMs }: Reading): boolean {
    const bounds = { low: nodeMs - heardMs, high: nodeMs - askedMs };
    const hadBuckets = this.#buckets.length > 0;
    this.#buckets = this.#buckets.filter(({ lastMs }) => heardMs - lastMs < this.#windowMs);
    // Nobody knows what the clock did meanwhile.
    if (hadBuckets && this.#buckets.length === 0) this.#breakChain();
    const isStep = this.#buckets.some(
      ({ sharpest: { low, high } }) => bounds.low > high + STEP_MS || bounds.high < low - STEP_MS,
    );
    if (isStep) {
      this.#breakChain();
      this.#blindUntilMs = heardMs + BLIND_MS;
      this.steps += 1;
    }
    if (heardMs - askedMs <= READING_MS_MAX) this.#add(bounds, heardMs);
    return !isStep;
  }

  /** Whether the clock is known well enough to tell anything from it. */
  isTrusted(nowMs: DeadlineMs): boolean {
    return nowMs >= this.#blindUntilMs && this.#buckets.length > 0;
  }

  /** Whether it was read in so many milliseconds. */
  wasReadWithin(ms: number, nowMs: DeadlineMs): boolean {
    const last = this.#buckets.at(-1);
    return last !== undefined && nowMs - last.lastMs < ms;
  }

  /** A moment of ours on the node's clock; never later than it is there. Only while it is trusted. */
  onNode(momentMs: DeadlineMs): number {
    return momentMs + Math.min(...this.#buckets.map(({ all }) => all.low));
  }

  /**
   * A moment of the node on our clock; never later than it was here. Only while it is trusted.
   *
   * @param heard the reading that came with what is told: it counts too
   */
  here(nodeMs: number, heard: Reading): DeadlineMs {
    return nodeMs - Math.max(heard.nodeMs - heard.askedMs, ...this.#buckets.map(({ all }) => all.high));
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
      this.#buckets.push({ sinceMs: heardMs, lastMs: heardMs, all: { ...bounds }, sharpest: bounds });
      return;
    }
    bucket.lastMs = heardMs;
    bucket.all.low = Math.min(bucket.all.low, bounds.low);
    bucket.all.high = Math.max(bucket.all.high, bounds.high);
    if (bounds.high - bounds.low < bucket.sharpest.high - bucket.sharpest.low) bucket.sharpest = bounds;
  }
}
