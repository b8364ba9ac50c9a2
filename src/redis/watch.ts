import type { Lane } from './lane.ts';
import { LOOK } from './script.ts';
import type { NodeClock } from './nodeClock.ts';

const EVERY_MS = 400;

/**
 * Reads the clock of every node a few times a second, begins eras where there is none that counts, and asks lanes that fell
 * silent whether they are there again.
 */
export class Watch {
  readonly #lanes: readonly Lane[];
  #timer: NodeJS.Timeout | null = null;

  constructor(lanes: readonly Lane[]) {
    this.#lanes = lanes;
  }

  start(): void {
    this.#round();
    this.#timer = setInterval(() => this.#round(), EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #round(): void {
    const nowMs = performance.now();
    const read = new Set<NodeClock>();
    for (const lane of this.#lanes) {
      const clock = lane.last?.clock;
      if (lane.isSilent || lane.isUnwatched || clock === undefined) void lane.renew();
      else if (!read.has(clock) && !clock.wasReadWithin(EVERY_MS / 2, nowMs)) {
        read.add(clock);
        lane.ask(LOOK, [], []).catch(() => undefined);
      }
    }
  }
}
