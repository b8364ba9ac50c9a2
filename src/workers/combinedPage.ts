import { addUp, pageOf, lastingSeries } from '../metrics/addUp.ts';
import type { MetricsPage, MetricsSnapshot } from '../metrics/addUp.ts';

/** The longest wait of a scrape for workers that do not answer. */
const ANSWER_MS = 500;

/** A worker that can be asked for its series, by round. */
export interface ScrapedWorker {
  readonly number: number;
  ask(round: number): void;
}

/**
 * One page of metrics for all workers.
 *
 * The counts of a worker stay on the page, as last reported, when it has ended and while it does not answer. Without
 * them the sums would fall, Prometheus would take that for a restart from zero, and it would count everything of the
 * other workers once more. Counts between the last scrape and the sudden end of a worker were never on a page, and are
 * lost. Its gauges are dropped, because they describe the present.
 */
export class CombinedPage {
  readonly #workers: () => readonly ScrapedWorker[];
  /** The latest report of each worker, by its number. */
  readonly #last = new Map<number, { readonly round: number; readonly snapshot: MetricsSnapshot }>();
  /** The counts of workers that have ended. They are added up for each page, so the list stays short. */
  readonly #ended: MetricsSnapshot[] = [];
  #round = 0;
  #underWay: Promise<MetricsPage> | null = null;
  #onReport = (): void => undefined;

  /** @param workers returns the workers that serve; called for each page */
  constructor(workers: () => readonly ScrapedWorker[]) {
    this.#workers = workers;
  }

  /** Records a report of a worker. */
  reported(worker: number, round: number, snapshot: MetricsSnapshot): void {
    this.#last.set(worker, { round, snapshot });
    this.#onReport();
  }

  /** Records that a worker has ended. */
  ended(worker: number): void {
    const last = this.#last.get(worker);
    this.#last.delete(worker);
    if (last !== undefined) this.#ended.push(lastingSeries(last.snapshot));
    this.#onReport();
  }

  /** Asks all workers for their series and adds them up. Calls that come meanwhile get the same page. */
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
    const running = [...this.#last.values()].map((report) =>
      report.round === round ? report.snapshot : lastingSeries(report.snapshot),
    );
    // A worker that ends from here on is on this page as running, and in the list of ended ones for the next page.
    const ended = await this.#addUpEnded();
    return pageOf([...running, ended]);
  }

  async #addUpEnded(): Promise<MetricsSnapshot> {
    const sum = await addUp(this.#ended.splice(0));
    this.#ended.unshift(sum);
    return sum;
  }

  /** Resolves when every worker that was asked has reported or ended, after 0.5 s at the latest. */
  #collect(round: number): Promise<void> {
    const asked = this.#workers();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ANSWER_MS);
      this.#onReport = () => {
        const serving = new Set(this.#workers().map(({ number }) => number));
        if (asked.some(({ number }) => serving.has(number) && this.#last.get(number)?.round !== round)) return;
        clearTimeout(timer);
        resolve();
      };
      for (const worker of asked) worker.ask(round);
      this.#onReport();
    });
  }
}
