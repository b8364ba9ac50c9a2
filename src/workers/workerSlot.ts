/**
 * The slot of one worker. Its state is
 * - starting: a process was forked and has not reported that it serves,
 * - serving,
 * - pausing: the process ended, and the next is forked after a pause, or
 * - over: the process ended and is not replaced.
 */
import cluster from 'node:cluster';
import type { Worker } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Addresses, ToPrimary, ToWorker } from './messages.ts';

/**
 * The first pause before a new start. It grows, because a worker that ends soon after its start would probably end
 * again.
 */
const PAUSE_MS = 100;
const PAUSE_MS_MAX = 10_000;
/** A worker that has served for this time did not fail at its start. */
const STEADY_MS = 10_000;

/** The wait for messages that an exited worker sent before its end. */
const LAST_MESSAGES_MS = 200;

/**
 * The most unanswered pings, one a second, before a worker counts as stuck. There are more for a worker that starts,
 * because loading may keep it busy.
 */
const PINGS_UNANSWERED_MAX = { serving: 10, starting: 60 } as const;

export interface WorkerSlotOptions {
  readonly number: number;
  /** Receives the messages of the worker that the slot does not handle itself. */
  readonly onMessage: (slot: WorkerSlot, message: ToPrimary) => void;
  readonly onReady: (slot: WorkerSlot, addresses: Addresses) => void;
  /** Called after each end of a process, with a description of the end and the pause before the next start. */
  readonly onEnded: (
    slot: WorkerSlot,
    ended: { readonly pid: number; readonly how: string; readonly pauseMs: number | null },
  ) => void;
}

export class WorkerSlot {
  readonly number: number;
  state: 'starting' | 'serving' | 'pausing' | 'over' = 'over';
  /** Why the last start failed; null when it did not. */
  failure: string | null = null;
  readonly #options: WorkerSlotOptions;
  #worker: Worker | null = null;
  #timer: NodeJS.Timeout | null = null;
  #endsInARow = 0;
  #servesSinceMs = 0;
  #pingsUnanswered = 0;
  #replace = true;

  constructor(options: WorkerSlotOptions) {
    this.number = options.number;
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#worker !== null;
  }

  get pid(): number {
    return this.#worker?.process.pid ?? 0;
  }

  fork(): void {
    const worker = cluster.fork();
    const pid = worker.process.pid ?? 0;
    this.#worker = worker;
    this.state = 'starting';
    this.#pingsUnanswered = 0;
    let reported: string | null = null;
    worker.on('message', (message: ToPrimary) => {
      if (message.is === 'pong') this.#pingsUnanswered = 0;
      else if (message.is === 'failed') reported = message.message;
      else if (message.is === 'ready') this.#serves(message.addresses);
      else this.#options.onMessage(this, message);
    });
    // A message that cannot be sent needs no handling here: the worker's exit is handled.
    worker.on('error', () => undefined);
    const disconnected = new Promise<void>((resolve) => worker.once('disconnect', () => resolve()));
    worker.once('exit', (code, signal) => {
      const how = signal ? `was ended by ${signal}` : `exited with code ${code}`;
      // Its last messages may arrive after its exit. Node.js does not always emit `disconnect`, so the wait is limited.
      void Promise.race([disconnected, sleep(LAST_MESSAGES_MS)]).then(() => this.#ended(pid, how, reported));
    });
  }

  send(message: ToWorker): void {
    if (this.#worker?.isConnected()) this.#worker.send(message, () => undefined);
  }

  /** Sends a ping. A worker with too many unanswered pings is killed. @returns false when it was */
  ping(): boolean {
    if (this.state !== 'serving' && this.state !== 'starting') return true;
    // Counted, not timed: no worker is killed because the whole machine stood still.
    if (this.#pingsUnanswered >= PINGS_UNANSWERED_MAX[this.state]) {
      this.kill();
      return false;
    }
    this.#pingsUnanswered += 1;
    this.send({ is: 'ping' });
    return true;
  }

  /** Forks no further process. A running one may finish its work. */
  drain(): void {
    this.#replace = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#worker === null) this.state = 'over';
    this.send({ is: 'drain' });
  }

  kill(): void {
    this.#worker?.process.kill('SIGKILL');
  }

  #serves(addresses: Addresses): void {
    this.state = 'serving';
    this.#pingsUnanswered = 0;
    this.failure = null;
    this.#servesSinceMs = performance.now();
    this.#options.onReady(this, addresses);
  }

  #ended(pid: number, how: string, reported: string | null): void {
    const served = this.state === 'serving';
    if (!served) this.failure = reported ?? `a worker ${how} before it was ready`;
    this.#endsInARow = served && performance.now() - this.#servesSinceMs > STEADY_MS ? 1 : this.#endsInARow + 1;
    this.#worker = null;
    this.state = this.#replace ? 'pausing' : 'over';
    const pauseMs = this.#replace ? pauseBefore(this.#endsInARow) : null;
    if (pauseMs !== null) this.#timer = setTimeout(() => this.fork(), pauseMs);
    this.#options.onEnded(this, { pid, how: reported ?? how, pauseMs });
  }
}

/** The pause before the next start, in ms: doubled with each end in a row, and random by a quarter up or down. */
function pauseBefore(endsInARow: number): number {
  return Math.round(Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** (endsInARow - 1)) * (0.75 + Math.random() / 2));
}
