import type { CommandQueue } from './commandQueue.ts';
import { READ } from './script.ts';
import type { NodeClock } from './nodeClock.ts';

const EVERY_MS = 400;

/**
 * Reads the clock of every node every 400 ms. It begins an era in each partition that has no valid one, and sends
 * commands to silent partitions to find out whether they answer again.
 */
export class ClockWatch {
  readonly #queues: readonly CommandQueue[];
  #timer: NodeJS.Timeout | null = null;

  constructor(queues: readonly CommandQueue[]) {
    this.#queues = queues;
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
    for (const queue of this.#queues) {
      const clock = queue.last?.clock;
      if (queue.isSilent || queue.needsEra || clock === undefined) void queue.renew();
      else if (!read.has(clock) && !clock.wasReadWithin(EVERY_MS / 2, nowMs)) {
        read.add(clock);
        queue.run(READ, [], []).catch(() => undefined);
      }
    }
  }
}
