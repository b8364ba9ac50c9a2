import { addUp, pageOf, whatStays } from '../metrics/addUp.ts';
import type { MetricsPage, MetricsSnapshot } from '../metrics/addUp.ts';

/** A scrape waits no longer than this for workers that do not answer. */
const ANSWER_MS = 500;

/** A worker that can be asked for its series. */
export interface Asked {
  readonly number: number;
  ask(round: number): void;
}

/**
 * One page of metrics for all workers.
 *
 * What a worker counted stays on the page when it ends, and while it does not answer, as it was last told. Otherwise the
 * sums would fall by all it ever did, Prometheus would take that for a restart from zero, and count everything the others
 * did once more. What a worker counted between the last scrape and its sudden end was never on a page, and is lost. Its
 * gauges are gone with it: they say how things are.
 */
export class PageOfAll {
  readonly #workers: () => readonly Asked[];
  /** By worker, what it last told. */
  readonly #last = new Map<number, { readonly round: number; readonly snapshot: MetricsSnapshot }>();
  /** Of workers that have ended; added up at each page, so that there are never many. */
  readonly #ended: MetricsSnapshot[] = [];
  #round = 0;
  #underWay: Promise<MetricsPage> | null = null;
  #oneTold = (): void => undefined;

  /** @param workers asked at each page for those that serve */
  constructor(workers: () => readonly Asked[]) {
    this.#workers = workers;
  }

  /** Notes what a worker told. */
  told(worker: number, round: number, snapshot: MetricsSnapshot): void {
    this.#last.set(worker, { round, snapshot });
    this.#oneTold();
  }

  /** Notes that a worker has ended. */
  ended(worker: number): void {
    const last = this.#last.get(worker);
    this.#last.delete(worker);
    if (last !== undefined) this.#ended.push(whatStays(last.snapshot));
    this.#oneTold();
  }

  /** Asks all workers and adds up; who asks meanwhile gets the same page. */
  page(): Promise<MetricsPage> {
    this.#underWay ??= this.#make().finally(() => {
      this.#underWay = null;
    });
    return this.#underWay;
  }

  async #make(): Promise<MetricsPage> {
    this.#round += 1;
    const round = this.#round;
    await this.#collect(round);
    const living = [...this.#last.values()].map((told) =>
      told.round === round ? told.snapshot : whatStays(told.snapshot),
    );
    // A worker that ends from here on is on this page as living, and in the list for the next one.
    const ended = await this.#addUpEnded();
    return pageOf([...living, ended]);
  }

  async #addUpEnded(): Promise<MetricsSnapshot> {
    const sum = await addUp(this.#ended.splice(0));
    this.#ended.unshift(sum);
    return sum;
  }

  /** Resolves when all that were asked have told or ended, or time is up. */
  #collect(round: number): Promise<void> {
    const asked = this.#workers();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ANSWER_MS);
      this.#oneTold = () => {
        const serving = new Set(this.#workers().map(({ number }) => number));
        if (asked.some(({ number }) => serving.has(number) && this.#last.get(number)?.round !== round)) return;
        clearTimeout(timer);
        resolve();
      };
      for (const worker of asked) worker.ask(round);
      this.#oneTold();
    });
  }
}
