import type { DeadlineMs } from '../core/nouns.ts';
import { Unavailable } from './failures.ts';
import type { WaitingRoom } from './waitingRoom.ts';

interface Waiter {
  admit(): void;
}

interface Queue {
  inside: number;
  readonly waiting: Set<Waiter>;
}

/**
 * Lets a bounded number of transactions at each key of a shard at a time; the others wait here, first come first served,
 * and not inside the server. So a locked SKU takes up a part of its shard's connections and never all of them, and a
 * client that sends one id many times at once does not make the server's lock queue deadlock over it.
 */
export class Gate {
  readonly #capacity: number;
  readonly #room: WaitingRoom;
  readonly #queues = new Map<string, Queue>();

  constructor(capacity: number, room: WaitingRoom) {
    this.#capacity = capacity;
    this.#room = room;
  }

  /**
   * Waits until there is a place at every key.
   *
   * @param keys in an order that all callers share, none twice: that is what keeps them from waiting in a circle
   * @returns gives all places back; call it once
   * @throws Unavailable when the deadline passes or too many wait already; nothing is held then
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

  /** Whoever leaves hands the place over, so `inside` stays as it is. */
  #wait(queue: Queue, deadlineMs: DeadlineMs): Promise<void> {
    const waitMs = deadlineMs - performance.now();
    if (waitMs <= 0) return Promise.reject(new Unavailable('the deadline passed before work began'));
    if (!this.#room.enter()) return Promise.reject(new Unavailable('too many requests wait for this shard'));
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        this.#room.leave();
        queue.waiting.delete(waiter);
      };
      const waiter: Waiter = {
        admit: () => {
          settle();
          resolve();
        },
      };
      const timer = setTimeout(() => {
        settle();
        reject(new Unavailable('others were at the same stock for too long'));
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
