import type { Config } from '../config/config.ts';
import type { MetricsPage, MetricsSnapshot } from '../metrics/addUp.ts';

/** The addresses of a gateway's listeners. */
export interface Addresses {
  readonly publicUrl: string;
  readonly adminUrl: string;
}

/** A message from the primary to a worker. `ask` is the number of the request that it answers. */
export type ToWorker =
  | { readonly is: 'start'; readonly config: Config }
  | { readonly is: 'drain' }
  | { readonly is: 'ping' }
  | { readonly is: 'tell_metrics'; readonly round: number }
  | { readonly is: 'page'; readonly ask: number; readonly page: MetricsPage }
  | { readonly is: 'turn'; readonly ask: number; readonly granted: boolean };

/** A message from a worker to the primary. */
export type ToPrimary =
  /** The worker receives messages from now on; earlier ones are lost. */
  | { readonly is: 'here' }
  | { readonly is: 'ready'; readonly addresses: Addresses }
  /** The worker cannot start, and exits. */
  | { readonly is: 'failed'; readonly message: string }
  | { readonly is: 'pong' }
  | { readonly is: 'metrics'; readonly round: number; readonly snapshot: MetricsSnapshot }
  | { readonly is: 'ask_page'; readonly ask: number }
  | { readonly is: 'ask_turn'; readonly ask: number }
  | { readonly is: 'give_turn' };
