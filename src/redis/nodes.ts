import { NodeClock } from './nodeClock.ts';
import type { Answer } from './answer.ts';

/** Runs that are remembered; the one that was not heard of for longest goes first. */
const RUNS_MAX = 256;

/** The clocks of all runs of all nodes that answered, by run: a node that was restarted, or took another's place, is another. */
export class Nodes {
  readonly #windowMs: number;
  readonly #onStep: (run_id: string) => void;
  readonly #clocks = new Map<string, NodeClock>();
  #steps = 0;

  /** @param windowMs for how long a clock's readings count, in milliseconds */
  constructor(windowMs: number, onStep: (run_id: string) => void) {
    this.#windowMs = windowMs;
    this.#onStep = onStep;
  }

  get count(): number {
    return this.#clocks.size;
  }

  /** How many times a clock was set. */
  get steps(): number {
    return this.#steps;
  }

  /** Learns what an answer says of its node's clock. */
  learn({ run_id, reading }: Answer): NodeClock {
    const clock = this.#clocks.get(run_id) ?? new NodeClock(this.#windowMs);
    this.#clocks.delete(run_id);
    this.#clocks.set(run_id, clock);
    for (const oldest of this.#clocks.keys()) {
      if (this.#clocks.size <= RUNS_MAX) break;
      this.#clocks.delete(oldest);
    }
    if (!clock.learn(reading)) {
      this.#steps += 1;
      this.#onStep(run_id);
    }
    return clock;
  }
}
