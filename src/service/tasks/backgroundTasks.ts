/** Work that continues after the answer to its caller; a shutdown waits for it. */
export class BackgroundTasks {
  readonly #open = new Set<Promise<void>>();
  readonly #onFault: (error: unknown) => void;

  /** @param onFault called with unexpected errors, which have no other receiver */
  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault;
  }

  add(work: () => Promise<unknown>): void {
    const task: Promise<void> = work()
      .then(() => undefined, this.#onFault)
      .finally(() => this.#open.delete(task));
    this.#open.add(task);
  }

  /** Resolves when all work has ended, after `waitMs` at the latest. */
  async finish(waitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<'timeout'>((resolve) => (timer = setTimeout(() => resolve('timeout'), waitMs)));
    // Running work may add more work.
    while (this.#open.size > 0) if ((await Promise.race([Promise.all(this.#open), timeout])) === 'timeout') break;
    clearTimeout(timer);
  }
}
