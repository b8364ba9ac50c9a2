import type { DeadlineMs } from '../../core/types.ts';
import { Unavailable } from './failures.ts';
import type { AdmissionBound } from './admissionBound.ts';

interface Waiter {
  admit(): void;
}

interface Queue {
  inside: number;
  readonly waiting: Set<Waiter>;
}

/**
 * Admits a bounded number of transactions at a time for each key of a shard. The others wait here, in the order of
 * their arrival, and not inside the server. So a locked SKU takes some of its shard's connections and never all of
 * them. And one id that is sent many times at once does not make the server's lock queue deadlock over it.
 */
export class Gate {
  readonly #capacity: number;
  readonly #admission: AdmissionBound;
  readonly #queues = new Map<string, Queue>();

  constructor(capacity: number, admission: AdmissionBound) {
    this.#capacity = capacity;
    this.#admission = admission;
  }

  /**
   * Waits until every key has room.
   *
   * @param keys none twice, in an order that all callers share, so that callers never wait for each other in a circle.
   * @returns a function that releases all keys. Call it once.
   * @throws Unavailable when the deadline passes or too many requests wait already; then no key is taken
   */
  async enter(keys: readonly string[], deadlineMs: DeadlineMs): Promise<() => void> {
    const held: string[] = [];
    const leave = (): void => {
      for (const key of held.splice(0)) this.#leave(key);
    };
    try {
      for (const key of keys) {
        const queue = this.#queueOf(key);
        if (queue.inside < this.#capacity) queue.inside += 1;
        else await this.#wait(queue, deadlineMs);
        held.push(key);
      }
      return leave;
    } catch (error) {
      leave();
      throw error;
    }
  }

  #queueOf(key: string): Queue {
    const known = this.#queues.get(key);
    if (known !== undefined) return known;
    const queue: Queue = { inside: 0, waiting: new Set() };
    this.#queues.set(key, queue);
    return queue;
  }

  /** A transaction that leaves hands its place to the next one, so `inside` stays as it is. */
  #wait(queue: Queue, deadlineMs: DeadlineMs): Promise<void> {
    const waitMs = deadlineMs - performance.now();
    if (waitMs <= 0) return Promise.reject(new Unavailable('the deadline passed before work began'));
    if (!this.#admission.enter()) return Promise.reject(new Unavailable('too many requests wait for this shard'));
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(timer);
        this.#admission.leave();
        queue.waiting.delete(waiter);
      };
      const waiter: Waiter = {
        admit: () => {
          finish();
          resolve();
        },
      };
      const timer = setTimeout(() => {
        finish();
        reject(new Unavailable('waited too long behind other requests for the same stock'));
      }, waitMs);
      queue.waiting.add(waiter);
    });
  }

  #leave(key: string): void {
    const queue = this.#queues.get(key);
    if (queue === undefined) return;
    const [next] = queue.waiting;
    if (next !== undefined) next.admit();
    else if (queue.inside > 1) queue.inside -= 1;
    else this.#queues.delete(key);
  }
}
