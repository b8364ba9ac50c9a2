import type { GatewayProcess } from '../../scripts/support/gatewayProcess.ts';

type Start = (environment?: NodeJS.ProcessEnv) => Promise<GatewayProcess>;

/**
 * A place where a gateway process runs; a new one takes over when the old one ends. Several faults may want the same place:
 * each ends or starts a process only when the one before has finished, so that every process that was started is known.
 */
export class GatewaySlot {
  readonly #start: Start;
  #process: GatewayProcess;
  #last: Promise<unknown> = Promise.resolve();
  /** The process that was killed here, on purpose. */
  #killed: GatewayProcess | null = null;

  private constructor(start: Start, process: GatewayProcess) {
    this.#start = start;
    this.#process = process;
  }

  static async open(start: Start): Promise<GatewaySlot> {
    return new GatewaySlot(start, await start());
  }

  /** Who runs here, or ran here last. */
  get process(): GatewayProcess {
    return this.#process;
  }

  /** SIGSTOP, but not in the middle of an end: that has a time limit. @returns what lets go of the same process */
  freeze(): Promise<() => void> {
    return this.#inTurn(async () => {
      const frozen = this.#process;
      frozen.signal('SIGSTOP');
      return () => frozen.signal('SIGCONT');
    });
  }

  /** SIGKILL. */
  kill(): Promise<void> {
    return this.#inTurn(async () => {
      this.#killed = this.#process;
      this.#process.signal('SIGKILL');
      await this.#process.exited;
    });
  }

  /**
   * Tells the process to stop and starts another, with these variables besides the usual ones; another is started however
   * the first one ended.
   *
   * @throws when it did not end as it should, unless it had been killed here
   */
  replace(environment?: NodeJS.ProcessEnv): Promise<void> {
    return this.#inTurn(async () => {
      const old = this.#process;
      const { code, signal } = await old.stop();
      this.#process = await this.#start(environment);
      if (code !== 0 && old !== this.#killed)
        throw new Error(`a gateway that was told to stop ended with ${code ?? signal}`);
    });
  }

  stop(): Promise<void> {
    return this.#inTurn(async () => void (await this.#process.stop()));
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
