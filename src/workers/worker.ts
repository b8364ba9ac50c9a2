import cluster from 'node:cluster';
import type { Config } from '../config/config.ts';
import type { MetricsPage, MetricsSnapshot } from '../metrics/addUp.ts';
import type { Addresses, ToPrimary, ToWorker } from './messages.ts';
import type { Siblings } from './siblings.ts';

/** Longer than the primary waits for workers. Without an answer in this time the primary itself is stuck. */
const ANSWER_MS = 3_000;

/** The connection of a worker to the primary. */
export interface Membership {
  /** Read once, by the primary, so that a replaced worker has the same configuration even if the files have changed. */
  readonly config: Config;
  readonly siblings: Siblings;
  /** Resolves when the primary requests that this worker drains. */
  readonly drainRequested: Promise<void>;
  /** Reports that this worker serves. @param snapshot returns its series; called for each page of all workers */
  ready(addresses: Addresses, snapshot: () => Promise<MetricsSnapshot>): void;
}

/** True in a process that a primary has started. */
export function isWorker(): boolean {
  return cluster.isWorker;
}

/** Reports to the primary and waits for the configuration. When the primary is gone, Node.js ends this process. */
export function joinPrimary(): Promise<Membership> {
  const requests = new Map<number, (answer: MetricsPage | boolean) => void>();
  let sentCount = 0;
  let snapshotOf: (() => Promise<MetricsSnapshot>) | null = null;
  let requestDrain = (): void => undefined;
  const drainAsked = new Promise<void>((resolve) => (requestDrain = resolve));

  const ask = <A extends MetricsPage | boolean>(is: 'ask_page' | 'ask_turn'): Promise<A> =>
    new Promise((resolve, reject) => {
      sentCount += 1;
      const number = sentCount;
      const timer = setTimeout(() => {
        requests.delete(number);
        reject(new Error(`the primary did not answer ${is} within ${ANSWER_MS} ms`));
      }, ANSWER_MS);
      requests.set(number, (answer) => {
        clearTimeout(timer);
        requests.delete(number);
        resolve(answer as A);
      });
      send({ is, ask: number });
    });
  const siblings: Siblings = {
    metricsPage: () => ask<MetricsPage>('ask_page'),
    takeReconcileLease: async () => ((await ask<boolean>('ask_turn')) ? () => send({ is: 'give_turn' }) : null),
  };

  return new Promise((resolve) => {
    process.on('message', (message: ToWorker) => {
      switch (message.is) {
        case 'start':
          resolve({
            config: message.config,
            siblings,
            drainRequested: drainAsked,
            ready(addresses, snapshot) {
              snapshotOf = snapshot;
              send({ is: 'ready', addresses });
            },
          });
          return;
        case 'drain':
          requestDrain();
          return;
        case 'ping':
          send({ is: 'pong' });
          return;
        case 'tell_metrics':
          snapshotOf?.().then(
            (snapshot) => send({ is: 'metrics', round: message.round, snapshot }),
            // The page then has the last report of this worker.
            () => undefined,
          );
          return;
        case 'page':
          requests.get(message.ask)?.(message.page);
          return;
        case 'turn':
          // Granted too late: no caller waits for it, so it is given back here.
          if (!requests.has(message.ask) && message.granted) send({ is: 'give_turn' });
          requests.get(message.ask)?.(message.granted);
          return;
      }
    });
    send({ is: 'here' });
  });
}

/** Reports to the primary why this worker cannot start. Resolves when the message was sent. */
export function reportFailure(message: string): Promise<void> {
  return new Promise((resolve) => send({ is: 'failed', message }, resolve));
}

/** Sends a message to the primary. A primary that has exited is no error: this process is about to end. */
function send(message: ToPrimary, then: () => void = () => undefined): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => then());
  else then();
}
