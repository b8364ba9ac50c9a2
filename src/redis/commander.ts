import { setTimeout as sleep } from 'node:timers/promises';
import { connectTo } from './connect.ts';
import type { Link } from './connect.ts';
import { NoAnswer } from './failures.ts';
import type { ConnectOptions, RedisEvent } from './options.ts';
import { backOffMs } from './backOff.ts';
import type { Script } from './script.ts';

/** Runs scripts where their keys lie. */
export interface Commander {
  /** Whether there is a connection; in a Cluster or behind Sentinels: whether there was one to begin with. */
  readonly isConnected: boolean;
  start(): void;
  /** Cuts all connections; what is under way fails. */
  stop(): Promise<void>;
  /**
   * @param keys at least one, all of one hash tag
   * @throws when it cannot be sent, or the connection breaks; it may have run then. It may also take for ever: deadlines are the caller's
   */
  run(script: Script, keys: readonly string[], texts: readonly string[]): Promise<unknown>;
}

/** Connects, for as long as it takes, through the client's own ways of one server, a Cluster or Sentinels. */
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

  /** The client connects again by itself once it was connected; until then it may give up, and is made anew. */
  async #connect(): Promise<void> {
    for (let failures = 0; !this.#isStopped; failures += 1) {
      const link = connectTo(this.#options, (error) => this.#onEvent({ kind: 'trouble', what: error.message }));
      this.#link = link;
      try {
        await link.open();
        this.#onEvent({ kind: 'connected', what: this.#options.mode });
        return;
      } catch (error) {
        this.#onEvent({ kind: 'trouble', what: error instanceof Error ? error.message : String(error) });
        await Promise.resolve(link.close()).catch(() => undefined);
        await sleep(backOffMs(failures), undefined, { ref: false });
      }
    }
  }
}
