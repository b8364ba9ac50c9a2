/**
 * The place of one worker. It is
 * - starting: a process was forked and has not said that it serves,
 * - serving,
 * - pausing: the process ended, and the next is forked after a pause, or
 * - over: the process ended and is not replaced.
 */
import cluster from 'node:cluster';
import type { Worker } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Addresses, ToPrimary, ToWorker } from './messages.ts';

/** A worker that ends soon after its start would only end again. */
const PAUSE_MS = 100;
const PAUSE_MS_MAX = 10_000;
/** Who has served for so long did not fail at its start. */
const STEADY_MS = 10_000;

const LAST_WORDS_MS = 200;

/** One a second. This many without an answer, and the worker is taken for stuck; who starts may be busy loading for a while. */
const PINGS_UNANSWERED_MAX = { serving: 10, starting: 60 } as const;

export interface SlotOptions {
  readonly number: number;
  /** Told what the worker says, apart from what the slot itself understands. */
  readonly onMessage: (slot: Slot, message: ToPrimary) => void;
  readonly onReady: (slot: Slot, addresses: Addresses) => void;
  /** Told after each end of a process, with the words for it and the pause before the next. */
  readonly onEnded: (
    slot: Slot,
    ended: { readonly pid: number; readonly how: string; readonly pauseMs: number | null },
  ) => void;
}

export class Slot {
  readonly number: number;
  state: 'starting' | 'serving' | 'pausing' | 'over' = 'over';
  /** Why the last start failed; null when it did not. */
  failure: string | null = null;
  readonly #options: SlotOptions;
  #worker: Worker | null = null;
  #timer: NodeJS.Timeout | null = null;
  #endsInARow = 0;
  #servesSinceMs = 0;
  #pingsUnanswered = 0;
  #replace = true;

  constructor(options: SlotOptions) {
    this.number = options.number;
    this.#options = options;
  }

  get lives(): boolean {
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
    let saidWhy: string | null = null;
    worker.on('message', (message: ToPrimary) => {
      if (message.is === 'pong') this.#pingsUnanswered = 0;
      else if (message.is === 'failed') saidWhy = message.message;
      else if (message.is === 'ready') this.#serves(message.addresses);
      else this.#options.onMessage(this, message);
    });
    // What cannot be said to a worker is answered by its end.
    worker.on('error', () => undefined);
    const silent = new Promise<void>((resolve) => worker.once('disconnect', () => resolve()));
    worker.once('exit', (code, signal) => {
      const how = signal ? `was ended by ${signal}` : `exited with code ${code}`;
      // Its last words may be read after its end was noticed; the end of its words is not always told by Node.js.
      void Promise.race([silent, sleep(LAST_WORDS_MS)]).then(() => this.#ended(pid, how, saidWhy));
    });
  }

  say(message: ToWorker): void {
    if (this.#worker?.isConnected()) this.#worker.send(message, () => undefined);
  }

  /** Asks for a sign of life; a worker that owes too many is killed. @returns false when it was */
  ping(): boolean {
    if (this.state !== 'serving' && this.state !== 'starting') return true;
    // Counted, not timed: when the whole machine stood still, nobody is to blame.
    if (this.#pingsUnanswered >= PINGS_UNANSWERED_MAX[this.state]) {
      this.kill();
      return false;
    }
    this.#pingsUnanswered += 1;
    this.say({ is: 'ping' });
    return true;
  }

  /** Nothing is forked here any more; what runs may finish. */
  drain(): void {
    this.#replace = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#worker === null) this.state = 'over';
    this.say({ is: 'drain' });
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

  #ended(pid: number, how: string, saidWhy: string | null): void {
    const served = this.state === 'serving';
    if (!served) this.failure = saidWhy ?? `a worker ${how} before it was ready`;
    this.#endsInARow = served && performance.now() - this.#servesSinceMs > STEADY_MS ? 1 : this.#endsInARow + 1;
    this.#worker = null;
    this.state = this.#replace ? 'pausing' : 'over';
    const pauseMs = this.#replace ? pauseBefore(this.#endsInARow) : null;
    if (pauseMs !== null) this.#timer = setTimeout(() => this.fork(), pauseMs);
    this.#options.onEnded(this, { pid, how: saidWhy ?? how, pauseMs });
  }
}

/** The pause before the next start, after so many ends in a row: twice as long each time, give or take a quarter. */
function pauseBefore(endsInARow: number): number {
  return Math.round(Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** (endsInARow - 1)) * (0.75 + Math.random() / 2));
}
