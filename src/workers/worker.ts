import cluster from 'node:cluster';
import type { Config } from '../config.ts';
import type { MetricsPage, MetricsSnapshot } from '../metrics/addUp.ts';
import type { Addresses, ToPrimary, ToWorker } from './messages.ts';
import type { Siblings } from './siblings.ts';

/** Longer than the primary waits for workers; without an answer by then the primary itself is stuck. */
const ANSWER_MS = 3_000;

/** A worker's side of its talk with the primary. */
export interface Membership {
  /** Read once, by the primary: a worker that replaces another has the same, whatever its files say by then. */
  readonly config: Config;
  readonly siblings: Siblings;
  /** Resolves when the primary wants this worker to drain. */
  readonly drainAsked: Promise<void>;
  /** Says that this worker serves. @param snapshot its series, asked for when somebody reads the page of all */
  ready(addresses: Addresses, snapshot: () => Promise<MetricsSnapshot>): void;
}

/** True in a process that a primary has started. */
export function isWorker(): boolean {
  return cluster.isWorker;
}

/** Reports to the primary and waits for the configuration. When the primary is gone, Node.js ends this process. */
export function joinPrimary(): Promise<Membership> {
  const questions = new Map<number, (answer: MetricsPage | boolean) => void>();
  let asked = 0;
  let snapshotOf: (() => Promise<MetricsSnapshot>) | null = null;
  let wantDrain = (): void => undefined;
  const drainAsked = new Promise<void>((resolve) => (wantDrain = resolve));

  const ask = <A extends MetricsPage | boolean>(is: 'ask_page' | 'ask_turn'): Promise<A> =>
    new Promise((resolve, reject) => {
      asked += 1;
      const number = asked;
      const timer = setTimeout(() => {
        questions.delete(number);
        reject(new Error(`the primary did not answer ${is} within ${ANSWER_MS} ms`));
      }, ANSWER_MS);
      questions.set(number, (answer) => {
        clearTimeout(timer);
        questions.delete(number);
        resolve(answer as A);
      });
      tell({ is, ask: number });
    });
  const siblings: Siblings = {
    metricsPage: () => ask<MetricsPage>('ask_page'),
    takeTurn: async () => ((await ask<boolean>('ask_turn')) ? () => tell({ is: 'give_turn' }) : null),
  };

  return new Promise((resolve) => {
    process.on('message', (message: ToWorker) => {
      switch (message.is) {
        case 'start':
          resolve({
            config: message.config,
            siblings,
            drainAsked,
            ready(addresses, snapshot) {
              snapshotOf = snapshot;
              tell({ is: 'ready', addresses });
            },
          });
          return;
        case 'drain':
          wantDrain();
          return;
        case 'ping':
          tell({ is: 'pong' });
          return;
        case 'tell_metrics':
          snapshotOf?.().then(
            (snapshot) => tell({ is: 'metrics', round: message.round, snapshot }),
            // The page then has what was told last.
            () => undefined,
          );
          return;
        case 'page':
          questions.get(message.ask)?.(message.page);
          return;
        case 'turn':
          // Granted too late: nobody would give it back.
          if (!questions.has(message.ask) && message.granted) tell({ is: 'give_turn' });
          questions.get(message.ask)?.(message.granted);
          return;
      }
    });
    tell({ is: 'here' });
  });
}

/** Tells the primary why this worker cannot start; resolves when it was said. */
export function tellFailure(message: string): Promise<void> {
  return new Promise((resolve) => tell({ is: 'failed', message }, resolve));
}

/** A primary that is gone is no error here: this process is about to end. */
function tell(message: ToPrimary, then: () => void = () => undefined): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => then());
  else then();
}
