import { DEFERRED } from '../../core/ledger/claim.ts';
import type { Batchable } from '../../core/ledger/decide.ts';
import type { OutcomeOf } from '../../core/outcome.ts';
import { hadNoEffect, reasonOf, SERVER_ERROR, ServerError } from '../failures.ts';
import { LOCK_SAID_MS } from '../sql/prepareSession.ts';
import { RECALL_MS, WORK_MS } from '../transaction.ts';
import { BatchUnanswered, runBatch } from './batch.ts';
import type { Decisions } from './batch.ts';
import type { Hints } from './hints.ts';
import { HolderNamer } from './holderNamer.ts';
import type { Lacker } from './holderNamer.ts';
import { partsOf } from './parts.ts';
import type { Part } from './parts.ts';
import type { BatchQueue, Errand } from './queue.ts';
import { recallBatch } from './recall.ts';
import { sortOut } from './sortOut.ts';

/** What a batch may take at most: below the 5 s that the shard allows, and long enough to hear that a row is locked. */
const BATCH_MS = LOCK_SAID_MS + 100;
/** With less time than this left it cannot be heard once more that a row is locked. */
const AGAIN_MS = LOCK_SAID_MS + RECALL_MS;

interface Told {
  readonly errand: Errand;
  readonly outcome: OutcomeOf<Batchable>;
}

interface Answers {
  readonly part: Part;
  readonly told: readonly Told[];
  readonly lacking: readonly Lacker[];
}

/** Sends batches, and tells everybody in them what became of him; who is to be decided again goes back to the queue. */
export class BatchSender {
  readonly #queue: BatchQueue;
  readonly #hints: Hints;
  readonly #whenPutBack: () => void;
  readonly #holders = new HolderNamer();

  /** @param whenPutBack told when somebody is put back after the batch was answered */
  constructor(queue: BatchQueue, hints: Hints, whenPutBack: () => void) {
    this.#queue = queue;
    this.#hints = hints;
    this.#whenPutBack = whenPutBack;
  }

  /** @param whenAnswered told when the batch has been written, before those in it are */
  async send(errands: readonly Errand[], whenAnswered: () => void): Promise<void> {
    const parts = partsOf(errands);
    const [first] = parts;
    if (first === undefined) return;
    const questions = parts.map(({ shard, errands: ofShard }) => ({
      schema: shard.schema,
      operations: ofShard.map(({ operation }) => operation),
    }));
    // Everybody is to hear in time, so who waits for the shortest time sets the end.
    const endMs = Math.min(performance.now() + BATCH_MS, ...errands.map(({ deadlineMs }) => deadlineMs - RECALL_MS));
    try {
      const decisions = await first.shard.pool.lend(endMs - WORK_MS / 2, (connection) =>
        runBatch(connection, first.shard.clock, questions, this.#hints, endMs),
      );
      const answers = parts.map((part, index) => this.#sort(part, decisions[index] ?? []));
      // The next batch leaves before the callers of this one are told: their answers are written while the server works.
      whenAnswered();
      for (const { told } of answers) for (const { errand, outcome } of told) errand.resolve(outcome);
      await Promise.all(answers.map((answer) => this.#nameHolders(answer)));
    } catch (error) {
      if (error instanceof BatchUnanswered)
        await Promise.all(
          parts.map(({ shard, errands: ofShard }, index) =>
            recallBatch(shard, ofShard, error.intended[index] ?? [], error),
          ),
        );
      else if (error instanceof ServerError && error.number === SERVER_ERROR.lockWaitTimeout)
        await this.#sortOut(parts, errands, error);
      else if (hadNoEffect(error)) tellUndone(errands, reasonOf(error));
      else throw error;
    }
  }

  /** Puts back at once, before whatever came later, those who are to be decided again. @returns the others */
  #sort(part: Part, decisions: Decisions): Answers {
    const again: Errand[] = [];
    const told: Told[] = [];
    const lacking: Lacker[] = [];
    part.errands.forEach((errand, index) => {
      const decision = decisions[index] ?? DEFERRED;
      if (decision.is === 'undecidable') return errand.reject(decision.error);
      this.#hints.learn(errand.operation, decision);
      // Who only reads does not meet a lock.
      this.#queue.unlock(errand.shelves, isWritten(decision));
      if (decision.is === 'deferred') again.push(errand);
      else if (decision.is === 'lacking') lacking.push({ errand, sku_ids: decision.sku_ids });
      else told.push({ errand, outcome: decision });
    });
    this.#queue.putBack(again);
    return { part, told, lacking };
  }

  async #nameHolders({ part: { shard }, lacking }: Answers): Promise<void> {
    if (lacking.length === 0) return;
    try {
      const again = await this.#holders.nameTo(shard, lacking);
      if (again.length === 0) return;
      this.#queue.putBack(again);
      this.#whenPutBack();
    } catch (error) {
      if (!hadNoEffect(error)) throw error;
      tellUndone(
        lacking.map(({ errand }) => errand),
        reasonOf(error),
      );
    }
  }

  /**
   * Somebody keeps a row locked: who names its SKU goes alone from now on, who names its ids is sent away, and the others go at
   * once. Sent away is also who names that SKU, here or in the queue, and has no time to hear of it again: he would end unknown.
   */
  async #sortOut(parts: readonly Part[], errands: readonly Errand[], { message }: ServerError): Promise<void> {
    const { shelves, inTheWay } = await sortOut(parts);
    const named = new Set(errands.flatMap((errand) => errand.shelves));
    const isFound = shelves.length + inTheWay.size > 0;
    // Neither a stock row nor an id: a slot, or it is over. Each goes alone once.
    this.#queue.lock(isFound ? shelves : named, isFound);
    const wentAlone = named.size === 1 && inTheWay.size === 0;
    const locked = wentAlone ? named : new Set(shelves);
    const againUntilMs = performance.now() + AGAIN_MS;
    const isSentAway = (errand: Errand): boolean =>
      wentAlone ||
      inTheWay.has(errand) ||
      (errand.deadlineMs < againUntilMs && errand.shelves.some((shelf) => locked.has(shelf)));
    tellUndone([...errands.filter(isSentAway), ...this.#queue.takeNaming(locked, againUntilMs)], message);
    this.#queue.putBack(errands.filter((errand) => !isSentAway(errand)));
  }
}

function tellUndone(errands: Iterable<Errand>, reason: string): void {
  for (const errand of errands) errand.resolve({ is: 'not_done', reason });
}

/** Whether the shard has written something for it: so nobody had its rows locked. */
function isWritten(decision: Exclude<Decisions[number], { readonly is: 'undecidable' }>): boolean {
  if (decision.is === 'deducted' || decision.is === 'held') return decision.lines.some(({ replayed }) => !replayed);
  return (decision.is === 'applied' || decision.is === 'returned') && !decision.replayed;
}
