import { skusOf } from '../../core/operation.ts';
import { DEFERRED } from '../../core/ledger/claim.ts';
import type { Batchable } from '../../core/ledger/decide.ts';
import type { DeadlineMs } from '../../core/nouns.ts';
import type { OutcomeOf } from '../../core/outcome.ts';
import { hadNoEffect, reasonOf, SERVER_ERROR, ServerError } from '../failures.ts';
import type { Shard } from '../shard.ts';
import { readHolds } from '../sql/holds.ts';
import { WORK_MS } from '../transaction.ts';
import { BatchUnanswered, runBatch } from './batch.ts';
import type { Decisions } from './batch.ts';
import { Hints } from './hints.ts';
import { partsOf } from './parts.ts';
import type { Part } from './parts.ts';
import { BatchQueue } from './queue.ts';
import type { Company, Errand } from './queue.ts';
import { recallBatch } from './recall.ts';
import { sortOut } from './sortOut.ts';
import type { SortedOut } from './sortOut.ts';

/** A batch that takes longer may be waiting for a lock: others, with other SKUs, go past it. */
const LATE_MS = 100;
const FLIGHTS_MAX = 6;
/** What a batch may take at most, from being sent; below the 5 s that the shard allows. */
const BATCH_MS = 1_500;
/** Kept of the time for finding out about a batch that is not answered. */
const RECALL_MS = 200;

const NO_BATCH = { errands: [], company: 'looked up' } as const;

interface Flight {
  readonly company: Company;
  readonly sku_ids: ReadonlySet<string>;
  readonly timer: NodeJS.Timeout;
  isLate: boolean;
}

/** An operation that lacks only units that are held. */
interface Lacker {
  readonly errand: Errand;
  readonly sku_ids: readonly string[];
}

interface Told {
  readonly errand: Errand;
  readonly outcome: OutcomeOf<Batchable>;
}

interface Answers {
  readonly shard: Shard;
  readonly told: readonly Told[];
  readonly lacking: readonly Lacker[];
}

/**
 * Sends the operations for all shards of one server in batches: one of each company is on its way, and what comes meanwhile is the next.
 * Nothing waits for a timer. Only when a batch is late, because somebody keeps a row of it locked, do others go past it.
 *
 * One transaction for all of them, because a COMMIT is most of what a small one costs; they share their server's fate anyway.
 */
export class ServerWriter {
  readonly #hints = new Hints();
  readonly #queue = new BatchQueue((operation) => this.#hints.doubtOf(operation) === 'nothing');
  readonly #flights = new Set<Flight>();
  /** Who lacked units that carts held, when no such cart was found. */
  readonly #lacked = new WeakSet<Errand>();
  #isPlanned = false;

  /** Carries an operation out with others. It rejects only on a fault of its own. */
  apply(shard: Shard, operation: Batchable, deadlineMs: DeadlineMs): Promise<OutcomeOf<Batchable>> {
    return new Promise((resolve, reject) => {
      const entered = this.#queue.add({ shard, operation, sku_ids: skusOf(operation), deadlineMs, resolve, reject });
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
    for (const errand of this.#queue.takeExpired(performance.now() + WORK_MS)) errand.resolve({ is: 'not_done', reason: 'the deadline passed before work began' });
    while (this.#flights.size < FLIGHTS_MAX) {
      const flights = [...this.#flights];
      const isBusy = (sku_id: string): boolean => flights.some(({ sku_ids }) => sku_ids.has(sku_id));
      const isOnItsWay = (company: Company): boolean => flights.some((flight) => flight.company === company && !flight.isLate);
      // What must be looked at leaves together with what need not, or it would leave in many small batches.
      const looks = !isOnItsWay('looked up') && !isOnItsWay('guessed');
      const looked = looks ? this.#queue.takeBatch(isBusy, (candidate) => candidate === 'looked up') : NO_BATCH;
      const { errands, company } = looked.errands.length > 0 ? looked : this.#queue.takeBatch(isBusy, (candidate) =>
        // The last two places are kept for what is in no trouble.
        candidate === 'guessed' ? !isOnItsWay('guessed') : typeof candidate !== 'string' && flights.length < FLIGHTS_MAX - 2,
      );
      if (errands.length === 0) return;
      void this.#fly(errands, company);
    }
  }

  async #fly(errands: readonly Errand[], company: Company): Promise<void> {
    const flight: Flight = {
      company,
      sku_ids: new Set(errands.flatMap((errand) => errand.sku_ids)),
      isLate: false,
      timer: setTimeout(() => {
        flight.isLate = true;
        this.#depart();
      }, LATE_MS),
    };
    this.#flights.add(flight);
    try {
      await this.#send(flight, errands);
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

  async #send(flight: Flight, errands: readonly Errand[]): Promise<void> {
    const parts = partsOf(errands);
    const [first] = parts;
    if (first === undefined) return;
    const questions = parts.map(({ shard, errands: ofShard }) => ({ schema: shard.schema, operations: ofShard.map(({ operation }) => operation) }));
    // Everybody is to hear in time, so who waits for the shortest time sets the end.
    const endMs = Math.min(performance.now() + BATCH_MS, ...errands.map(({ deadlineMs }) => deadlineMs - RECALL_MS));
    try {
      const decisions = await first.shard.pool.lend(endMs - WORK_MS / 2, (connection) =>
        runBatch(connection, first.shard.clock, questions, this.#hints, endMs),
      );
      const answers = parts.map((part, index) => this.#sort(part, decisions[index] ?? []));
      // The next batch leaves before the callers of this one are told: their answers are written while the server works.
      this.#land(flight);
      for (const { told } of answers) for (const { errand, outcome } of told) errand.resolve(outcome);
      await Promise.all(answers.map(({ shard, lacking }) => this.#nameHolders(shard, lacking)));
    } catch (error) {
      if (error instanceof BatchUnanswered) await Promise.all(parts.map(({ shard, errands: ofShard }, index) => recallBatch(shard, ofShard, error.intended[index] ?? [], error)));
      else if (error instanceof ServerError && error.number === SERVER_ERROR.lockWaitTimeout) await this.#sortOut(parts, errands, error);
      else if (hadNoEffect(error)) for (const errand of errands) errand.resolve({ is: 'not_done', reason: reasonOf(error) });
      else throw error;
    }
  }

  /** Puts back at once, before whatever came later, those who are to be decided again. @returns the others */
  #sort({ shard, errands }: Part, decisions: Decisions): Answers {
    const again: Errand[] = [];
    const told: Told[] = [];
    const lacking: Lacker[] = [];
    errands.forEach((errand, index) => {
      const decision = decisions[index] ?? DEFERRED;
      if (decision.is === 'undecidable') return errand.reject(decision.error);
      this.#hints.learn(errand.operation, decision);
      // Who only reads does not meet a lock.
      if (isWritten(decision)) this.#queue.unlock(errand.sku_ids);
      if (decision.is === 'deferred') again.push(errand);
      else if (decision.is === 'lacking') lacking.push({ errand, sku_ids: decision.sku_ids });
      else told.push({ errand, outcome: decision });
    });
    this.#queue.putBack(again);
    return { shard, told, lacking };
  }

  /** Tells those who lack only what carts hold which carts these are. Who lacks nothing any more is decided again. */
  async #nameHolders(shard: Shard, lacking: readonly Lacker[]): Promise<void> {
    if (lacking.length === 0) return;
    const untilMs = performance.now() + WORK_MS;
    const wanted = [...new Set(lacking.flatMap(({ sku_ids }) => sku_ids))];
    try {
      const holds = await shard.pool.lend(untilMs, (connection) => readHolds({ rows: (sql, values) => connection.rows(sql, values, untilMs) }, wanted));
      for (const { errand, sku_ids } of lacking) {
        const ofErrand = holds.filter(({ sku_id }) => sku_ids.includes(sku_id));
        if (ofErrand.length > 0) errand.resolve({ is: 'pending', holds: ofErrand });
        else if (this.#lacked.has(errand)) errand.resolve({ is: 'not_done', reason: 'units are held, and nobody says by whom' });
        else this.#lookOnceMore(errand);
      }
      this.#plan();
    } catch (error) {
      if (!hadNoEffect(error)) throw error;
      for (const { errand } of lacking) errand.resolve({ is: 'not_done', reason: reasonOf(error) });
    }
  }

  /** The holds may have gone between two looks. */
  #lookOnceMore(errand: Errand): void {
    this.#lacked.add(errand);
    this.#queue.putBack([errand]);
  }

  /** Somebody keeps a row locked: who names its SKU goes alone from now on, who names its ids is sent away, and the others go at once. */
  async #sortOut(parts: readonly Part[], errands: readonly Errand[], error: ServerError): Promise<void> {
    const tell = (some: readonly Errand[]): void => {
      for (const errand of some) errand.resolve({ is: 'not_done', reason: error.message });
    };
    const found = await Promise.all(parts.map((part) => sortOut(part).catch((): SortedOut => ({ sku_ids: [], errands: [] }))));
    const sku_ids = found.flatMap((each) => each.sku_ids);
    const inTheWay = new Set(found.flatMap((each) => each.errands));
    const named = new Set(errands.flatMap((errand) => errand.sku_ids));
    // Neither a stock row nor an id: a slot, or it is over. Each goes alone once.
    this.#queue.lock(sku_ids.length + inTheWay.size > 0 ? sku_ids : named);
    tell([...inTheWay]);
    const others = errands.filter((errand) => !inTheWay.has(errand));
    // They went alone already.
    if (named.size === 1 && inTheWay.size === 0) tell(others);
    else this.#queue.putBack(others);
  }
}

/** Whether the shard has written something for it: so nobody had its rows locked. */
function isWritten(decision: Exclude<Decisions[number], { readonly is: 'undecidable' }>): boolean {
  if (decision.is === 'deducted' || decision.is === 'held') return decision.lines.some(({ replayed }) => !replayed);
  return (decision.is === 'applied' || decision.is === 'returned') && !decision.replayed;
}
