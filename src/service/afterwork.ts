/** Work that goes on when its caller has been answered; whoever shuts down waits for it. */
export class Afterwork {
  readonly #open = new Set<Promise<void>>();
  readonly #onFault: (error: unknown) => void;

  /** @param onFault told of what no code foresaw: nobody else would hear of it */
  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault;
  }

  add(work: () => Promise<unknown>): void {
    const one: Promise<void> = work()
      .then(() => undefined, this.#onFault)
      .finally(() => this.#open.delete(one));
    this.#open.add(one);
  }

  /** Resolves when all is done, or after a while. */
  async finish(waitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const isOver = new Promise<'over'>((resolve) => (timer = setTimeout(() => resolve('over'), waitMs)));
    // What is going on may add more.
    while (this.#open.size > 0) if ((await Promise.race([Promise.all(this.#open), isOver])) === 'over') break;
    clearTimeout(timer);
  }
}
