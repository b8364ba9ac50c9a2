import { NodeClock } from './nodeClock.ts';
import type { ScriptReply } from './scriptReply.ts';

/** The most runs that are remembered. Beyond it the run whose last reply is oldest is dropped. */
const RUNS_MAX = 256;

/** The clocks of all runs of all nodes that answered, by run. A node that was restarted or replaced is another run. */
export class Nodes {
  readonly #windowMs: number;
  readonly #onStep: (run_id: string) => void;
  readonly #clocks = new Map<string, NodeClock>();
  #steps = 0;

  /** @param windowMs for how long a reading of a clock counts, in milliseconds */
  constructor(windowMs: number, onStep: (run_id: string) => void) {
    this.#windowMs = windowMs;
    this.#onStep = onStep;
  }

  get count(): number {
    return this.#clocks.size;
  }

  /** How many times a clock was set, over all runs. */
  get steps(): number {
    return this.#steps;
  }

  /** Adds the reading of a reply to its node's clock. */
  addReading({ run_id, reading }: ScriptReply): NodeClock {
    const clock = this.#clocks.get(run_id) ?? new NodeClock(this.#windowMs);
    this.#clocks.delete(run_id);
    this.#clocks.set(run_id, clock);
    for (const oldest of this.#clocks.keys()) {
      if (this.#clocks.size <= RUNS_MAX) break;
      this.#clocks.delete(oldest);
    }
    if (!clock.add(reading)) {
      this.#steps += 1;
      this.#onStep(run_id);
    }
    return clock;
  }
}
