import { shelvesOf } from '../../core/operation.ts';
import type { Batchable } from '../../core/ledger/decide.ts';
import type { DeadlineMs } from '../../core/nouns.ts';
import type { OutcomeOf } from '../../core/outcome.ts';
import type { Shard } from '../shard.ts';
import { WORK_MS } from '../transaction.ts';
import { BatchSender } from './batchSender.ts';
import { Hints } from './hints.ts';
import { BatchQueue } from './queue.ts';
import type { Company, Errand } from './queue.ts';

/** A batch that takes longer may be waiting for a lock: others, with other SKUs, go past it. */
const LATE_MS = 100;
const FLIGHTS_MAX = 6;
/** Who waits while nothing comes and nothing lands is looked after as often. */
const WATCH_MS = 100;

const NO_BATCH = { errands: [], company: 'looked up' } as const;

interface Flight {
  readonly company: Company;
  readonly shelves: ReadonlySet<string>;
  readonly timer: NodeJS.Timeout;
  isLate: boolean;
}

/**
 * Sends the operations for all shards of one server in batches: one of each company is on its way, and what comes meanwhile is the next.
 * Nothing waits for a timer. Only when a batch is late, because somebody keeps a row of it locked, do others go past it.
 *
 * One transaction for all of them, because a COMMIT is most of what a small one costs; they share their server's fate anyway.
 */
export class ServerWriter {
  readonly #hints = new Hints();
  readonly #queue: BatchQueue;
  readonly #sender: BatchSender;
  readonly #flights = new Set<Flight>();
  #watch: NodeJS.Timeout | null = null;
  #isPlanned = false;

  /** @param linesMax lines of one batch at most */
  constructor(linesMax?: number) {
    this.#queue = new BatchQueue((operation) => this.#hints.doubtOf(operation) === 'nothing', linesMax);
    this.#sender = new BatchSender(this.#queue, this.#hints, () => this.#plan());
  }

  /** Carries an operation out with others. It rejects only on a fault of its own. */
  apply(shard: Shard, operation: Batchable, deadlineMs: DeadlineMs): Promise<OutcomeOf<Batchable>> {
    return new Promise((resolve, reject) => {
      const entered = this.#queue.add({ shard, operation, shelves: shelvesOf(operation), deadlineMs, resolve, reject });
      if (entered) this.#plan();
      else resolve({ is: 'not_done', reason: 'too many requests wait for this shard' });
    });
  }

  /** After what is just being read from sockets, so that it goes along. */
  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    setImmediate(() => {
      this.#isPlanned = false;
      this.#depart();
    });
  }

  #depart(): void {
    for (const errand of this.#queue.takeExpired(performance.now() + WORK_MS))
      errand.resolve({ is: 'not_done', reason: 'the deadline passed before work began' });
    while (this.#flights.size < FLIGHTS_MAX) {
      const { errands, company } = this.#takeNext();
      if (errands.length === 0) break;
      void this.#fly(errands, company);
    }
    this.#watchQueue();
  }

  #takeNext(): { readonly errands: readonly Errand[]; readonly company: Company } {
    const flights = [...this.#flights];
    const isBusy = (shelf: string): boolean => flights.some(({ shelves }) => shelves.has(shelf));
    const isOnItsWay = (company: Company): boolean =>
      flights.some((flight) => flight.company === company && !flight.isLate);
    // What must be looked at leaves together with what need not, or it would leave in many small batches.
    const looks = !isOnItsWay('looked up') && !isOnItsWay('guessed');
    const looked = looks ? this.#queue.takeBatch(isBusy, (candidate) => candidate === 'looked up') : NO_BATCH;
    if (looked.errands.length > 0) return looked;
    return this.#queue.takeBatch(isBusy, (candidate) =>
      // The last two places are kept for what is in no trouble.
      candidate === 'guessed'
        ? !isOnItsWay('guessed')
        : typeof candidate !== 'string' && flights.length < FLIGHTS_MAX - 2,
    );
  }

  /** While batches are late nothing else may wake those behind them, and they are to be told in time. */
  #watchQueue(): void {
    if (this.#watch !== null || this.#queue.isEmpty) return;
    this.#watch = setTimeout(() => {
      this.#watch = null;
      this.#depart();
    }, WATCH_MS);
  }

  async #fly(errands: readonly Errand[], company: Company): Promise<void> {
    const flight: Flight = {
      company,
      shelves: new Set(errands.flatMap((errand) => errand.shelves)),
      isLate: false,
      timer: setTimeout(() => {
        flight.isLate = true;
        this.#depart();
      }, LATE_MS),
    };
    this.#flights.add(flight);
    try {
      await this.#sender.send(errands, () => this.#land(flight));
    } catch (error) {
      for (const errand of errands) errand.reject(error);
    } finally {
      this.#land(flight);
    }
  }

  #land(flight: Flight): void {
    clearTimeout(flight.timer);
    if (this.#flights.delete(flight)) this.#depart();
  }
}
