import type { Config } from '../config.ts';
import type { MetricsPage, MetricsSnapshot } from '../metrics/addUp.ts';

/** Where a gateway listens. */
export interface Addresses {
  readonly publicUrl: string;
  readonly adminUrl: string;
}

/** What the primary says to a worker. An `ask` is the number of the question that is answered. */
export type ToWorker =
  | { readonly is: 'start'; readonly config: Config }
  | { readonly is: 'drain' }
  | { readonly is: 'ping' }
  | { readonly is: 'tell_metrics'; readonly round: number }
  | { readonly is: 'page'; readonly ask: number; readonly page: MetricsPage }
  | { readonly is: 'turn'; readonly ask: number; readonly granted: boolean };

/** What a worker says to the primary. */
export type ToPrimary =
  /** It listens to messages now: what was sent before is lost. */
  | { readonly is: 'here' }
  | { readonly is: 'ready'; readonly addresses: Addresses }
  /** It cannot start, and ends. */
  | { readonly is: 'failed'; readonly message: string }
  | { readonly is: 'pong' }
  | { readonly is: 'metrics'; readonly round: number; readonly snapshot: MetricsSnapshot }
  | { readonly is: 'ask_page'; readonly ask: number }
  | { readonly is: 'ask_turn'; readonly ask: number }
  | { readonly is: 'give_turn' };
