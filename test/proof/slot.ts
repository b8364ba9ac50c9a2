import type { GatewayProcess } from '../../scripts/support/gatewayProcess.ts';

type Start = (environment?: NodeJS.ProcessEnv) => Promise<GatewayProcess>;

/**
 * A slot in which one gateway process runs; a new process replaces the old one. Several faults may use the same slot.
 * Their actions run one after another, so that the slot has a reference to every process that it started.
 */
export class GatewaySlot {
  readonly #start: Start;
  #process: GatewayProcess;
  #last: Promise<unknown> = Promise.resolve();
  /** The process that this slot killed last; null without one. */
  #killed: GatewayProcess | null = null;

  private constructor(start: Start, process: GatewayProcess) {
    this.#start = start;
    this.#process = process;
  }

  static async open(start: Start): Promise<GatewaySlot> {
    return new GatewaySlot(start, await start());
  }

  /** The process that runs in the slot, or ran last. */
  get process(): GatewayProcess {
    return this.#process;
  }

  /** SIGSTOP, but not during a stop, which has a time limit. @returns a function that resumes the same process */
  freeze(): Promise<() => void> {
    return this.#afterLast(async () => {
      const frozen = this.#process;
      frozen.signal('SIGSTOP');
      return () => frozen.signal('SIGCONT');
    });
  }

  /** SIGKILL. */
  kill(): Promise<void> {
    return this.#afterLast(async () => {
      this.#killed = this.#process;
      this.#process.signal('SIGKILL');
      await this.#process.exited;
    });
  }

  /**
   * Stops the process and starts another, with these environment variables besides the usual ones. The other is started
   * however the first one ended.
   *
   * @throws when the process did not end with code 0, unless this slot had killed it
   */
  replace(environment?: NodeJS.ProcessEnv): Promise<void> {
    return this.#afterLast(async () => {
      const old = this.#process;
      const { code, signal } = await old.stop();
      this.#process = await this.#start(environment);
      if (code !== 0 && old !== this.#killed)
        throw new Error(`a gateway that was stopped ended with ${code ?? signal}`);
    });
  }

  stop(): Promise<void> {
    return this.#afterLast(async () => void (await this.#process.stop()));
  }

  #afterLast<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
