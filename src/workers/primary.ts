import cluster from 'node:cluster';
import type { Logger } from 'pino';
import type { Config } from '../config/config.ts';
import type { Addresses, ToPrimary } from './messages.ts';
import { CombinedPage } from './combinedPage.ts';
import { WorkerSlot } from './workerSlot.ts';

const PING_EVERY_MS = 1_000;

/** The end of a worker that has drained. */
const DRAINED = 'exited with code 0';

/** The workers as a whole cannot go on. The message is for the user who started them. */
export class WorkersError extends Error {}

/**
 * The process that starts the workers, replaces those that end and adds up their metrics. It has no shard and answers
 * no request.
 *
 * The workers accept connections themselves, from sockets they share. Node.js can also accept them here and distribute
 * them in turn. That was tried. A connection on its way to a worker that is killed is then neither answered nor closed,
 * and a worker that is stuck keeps the next connection. Each turn of a worker's event loop accepts one connection, so
 * idle workers take more.
 */
export class Primary {
  readonly #log: Logger;
  readonly #onReady: (addresses: Addresses) => void;
  readonly #slots: readonly WorkerSlot[];
  readonly #pages: CombinedPage;
  #config: Config;
  #addresses: Addresses | null = null;
  #isReadyReported = false;
  /** The worker that reconciles; null: none. */
  #reconciling: WorkerSlot | null = null;
  #draining = false;
  #hasFailedDrain = false;
  #end: () => void = () => undefined;
  #fail: (failure: WorkersError) => void = () => undefined;

  /** @param onReady called once, when every worker listens */
  constructor(config: Config, log: Logger, onReady: (addresses: Addresses) => void) {
    this.#config = config;
    this.#log = log;
    this.#onReady = onReady;
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    this.#slots = Array.from(
      { length: config.workers },
      (_, index) =>
        new WorkerSlot({
          number: index + 1,
          onMessage: (slot, message) => this.#receive(slot, message),
          onReady: (slot, addresses) => this.#serves(slot, addresses),
          onEnded: (slot, ended) => this.#ended(slot, ended),
        }),
    );
    this.#pages = new CombinedPage(() =>
      this.#slots
        .filter(({ state }) => state === 'serving')
        .map((slot) => ({ number: slot.number, ask: (round: number) => slot.send({ is: 'tell_metrics', round }) })),
    );
  }

  /**
   * Starts the workers and keeps them running; resolves when they have drained.
   *
   * @throws WorkersError when no worker can start, or one failed while it drained
   */
  async run(): Promise<void> {
    const watch = setInterval(() => {
      for (const slot of this.#slots) {
        const { number, pid } = slot;
        if (!slot.ping()) this.#log.error({ worker: number, worker_pid: pid }, 'worker does not answer and is killed');
      }
    }, PING_EVERY_MS);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#end = resolve;
        this.#fail = reject;
        for (const slot of this.#slots) slot.fork();
      });
      if (this.#hasFailedDrain) throw new WorkersError('a worker failed while it drained');
    } finally {
      clearInterval(watch);
      this.kill();
    }
  }

  /** Drains all workers at the same time; then `run` resolves. */
  drain(): void {
    this.#draining = true;
    for (const slot of this.#slots) slot.drain();
    this.#endWhenOver();
  }

  /** Kills all workers at once. */
  kill(): void {
    for (const slot of this.#slots) slot.kill();
  }

  #receive(slot: WorkerSlot, message: ToPrimary): void {
    switch (message.is) {
      case 'here':
        slot.send({ is: 'start', config: this.#config });
        if (this.#draining) slot.send({ is: 'drain' });
        return;
      case 'metrics':
        this.#pages.reported(slot.number, message.round, message.snapshot);
        return;
      case 'ask_page':
        this.#pages.page().then(
          (page) => slot.send({ is: 'page', ask: message.ask, page }),
          (error: unknown) => this.#log.error({ err: error }, 'fault'),
        );
        return;
      case 'ask_turn': {
        const granted = this.#reconciling === null;
        if (granted) this.#reconciling = slot;
        slot.send({ is: 'turn', ask: message.ask, granted });
        return;
      }
      case 'give_turn':
        if (this.#reconciling === slot) this.#reconciling = null;
        return;
      case 'ready':
      case 'failed':
      case 'pong':
        return;
    }
  }

  /**
   * Workers that ask for port 0 share one free port while at least one of them runs. When all have ended, the port is
   * free again. The next workers must ask for it by its number, because callers use it.
   */
  #keepPorts(): void {
    if (this.#addresses === null || this.#slots.some(({ isRunning }) => isRunning)) return;
    const { publicUrl, adminUrl } = this.#addresses;
    this.#config = {
      ...this.#config,
      public: { ...this.#config.public, port: Number(new URL(publicUrl).port) },
      admin: { ...this.#config.admin, port: Number(new URL(adminUrl).port) },
    };
  }

  #serves(slot: WorkerSlot, addresses: Addresses): void {
    this.#log.info({ worker: slot.number, worker_pid: slot.pid }, 'worker serving');
    this.#addresses = addresses;
    if (this.#isReadyReported || !this.#slots.every(({ state }) => state === 'serving')) return;
    this.#isReadyReported = true;
    this.#onReady(addresses);
  }

  #ended(
    slot: WorkerSlot,
    { pid, how, pauseMs }: { readonly pid: number; readonly how: string; readonly pauseMs: number | null },
  ): void {
    this.#pages.ended(slot.number);
    this.#keepPorts();
    if (this.#reconciling === slot) this.#reconciling = null;
    if (this.#draining) {
      this.#hasFailedDrain ||= how !== DRAINED;
      this.#endWhenOver();
      return;
    }
    const failures = this.#slots.map(({ failure }) => failure);
    // The last start of every worker has failed, so one more would fail too.
    if (failures.every((failure) => failure !== null)) {
      this.#fail(new WorkersError([...new Set(failures)].join('\n')));
      return;
    }
    this.#log.error({ worker: slot.number, worker_pid: pid, how, pause_ms: pauseMs }, 'worker ended');
  }

  #endWhenOver(): void {
    if (this.#slots.every(({ state }) => state === 'over')) this.#end();
  }
}
