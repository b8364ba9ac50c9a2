import { setTimeout as sleep } from 'node:timers/promises';
import { connectTo } from './connect.ts';
import type { Link } from './connect.ts';
import { NoAnswer } from './noAnswer.ts';
import type { ConnectOptions, RedisEvent } from './options.ts';
import { backOffMs } from './backOff.ts';
import type { Script } from './script.ts';
import { errorText } from '../core/text/errorText.ts';

/** Runs scripts on the node that has their keys. */
export interface Commander {
  /** Whether there is a connection. In a Cluster or behind Sentinels: whether there has ever been one. */
  readonly isConnected: boolean;
  start(): void;
  /** Cuts all connections. Commands under way fail. */
  stop(): Promise<void>;
  /**
   * @param keys at least one, all of one hash tag
   * @throws when the script cannot be sent, or when the connection breaks; it may have run then. It may also never
   * return, so
   *   the caller needs a deadline
   */
  run(script: Script, keys: readonly string[], texts: readonly string[]): Promise<unknown>;
}

/**
 * Connects to one server, a Cluster or Sentinels with the client's own support for them. It tries until it succeeds.
 */
export class ClientCommander implements Commander {
  readonly #options: ConnectOptions;
  readonly #onEvent: (event: RedisEvent) => void;
  #link: Link | null = null;
  #isStopped = false;

  constructor(options: ConnectOptions) {
    this.#options = options;
    this.#onEvent = (event) => options.onEvent?.(event);
  }

  get isConnected(): boolean {
    return this.#link?.isReady ?? false;
  }

  start(): void {
    void this.#connect();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#link?.close();
    this.#link = null;
  }

  async run(script: Script, keys: readonly string[], texts: readonly string[]): Promise<unknown> {
    const link = this.#link;
    const [key] = keys;
    if (link === null || !link.isReady || key === undefined) throw new NoAnswer('not connected to Redis');
    const rest = [String(keys.length), ...keys, ...texts];
    try {
      return await link.send(key, ['EVALSHA', script.sha1, ...rest]);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return link.send(key, ['EVAL', script.lua, ...rest]);
    }
  }

  /**
   * Makes the first connection. The client reconnects by itself once it was connected. Before that it may give up, and
   * a new client is made.
   */
  async #connect(): Promise<void> {
    for (let failures = 0; !this.#isStopped; failures += 1) {
      const link = connectTo(this.#options, (error) => this.#onEvent({ kind: 'trouble', what: error.message }));
      this.#link = link;
      try {
        await link.open();
        this.#onEvent({ kind: 'connected', what: this.#options.mode });
        return;
      } catch (error) {
        this.#onEvent({ kind: 'trouble', what: errorText(error) });
        await Promise.resolve(link.close()).catch(() => undefined);
        await sleep(backOffMs(failures), undefined, { ref: false });
      }
    }
  }
}
