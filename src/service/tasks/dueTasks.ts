import { pause } from '../../core/async/pause.ts';

/** How often the times are looked at: a task that has just ended may be due before those that wait. */
const LOOK_MS = 200;

/** Work that is repeated. @returns the pause until it is due again, in milliseconds */
export type DueTask = () => Promise<number>;

/** Repeats tasks, each after the pause that it returned, and only a few at once. */
export class DueTasks {
  readonly #dueMs = new Map<DueTask, number>();
  readonly #stop = new AbortController();
  readonly #width: number;
  #running: Promise<unknown> = Promise.resolve();

  /** @param width tasks that run at once, at most */
  constructor(width: number) {
    this.#width = width;
  }

  /** @param firstMs the longest pause before a task runs for the first time; each has another one */
  start(tasks: readonly DueTask[], firstMs: number): void {
    const nowMs = performance.now();
    for (const task of tasks) this.#dueMs.set(task, nowMs + Math.random() * firstMs);
    this.#running = Promise.all(Array.from({ length: this.#width }, () => this.#work()));
  }

  /** Resolves when the tasks that run have ended. No task runs afterwards. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #work(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const task = this.#takeDue();
      if (task === null) await pause(LOOK_MS, undefined, { signal, ref: false }).catch(() => undefined);
      else this.#dueMs.set(task, (await task()) + performance.now());
    }
  }

  /** Takes out the task that has been due for the longest time. */
  #takeDue(): DueTask | null {
    let first: readonly [DueTask, number] | null = null;
    for (const entry of this.#dueMs) if (first === null || entry[1] < first[1]) first = entry;
    if (first === null || first[1] > performance.now()) return null;
    this.#dueMs.delete(first[0]);
    return first[0];
  }
}
