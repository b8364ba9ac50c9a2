import { withTimeout } from '../core/async/withTimeout.ts';
import type { Commander } from './commander.ts';
import { NoAnswer, tookTooLong } from './noAnswer.ts';
import type { Script } from './script.ts';

/** How often a command is sent to a silent partition, to find out whether it answers again. */
const PROBE_MS = 500;
/** The most unanswered commands. Further commands fail at once. */
const UNANSWERED_MAX = 4_096;

/**
 * The command queue of one partition for requests, which wait for Redis only briefly. A partition whose command was not
 * answered in time is silent: requests no longer wait for it. Every 500 ms one command is still sent. The first answer,
 * however late, ends the silence.
 */
export class RequestQueue {
  readonly #commander: Commander;
  readonly #waitMs: number;
  #unanswered = 0;
  #isSilent = false;
  #sentMs = -Infinity;

  /** @param waitMs the longest wait for a command, in milliseconds */
  constructor(commander: Commander, waitMs: number) {
    this.#commander = commander;
    this.#waitMs = waitMs;
  }

  /**
   * Runs a script on the partition.
   *
   * @throws NoAnswer at once when the partition is silent, or when the answer does not come in time: the script may
   * have run then;
   *   also any error of the client
   */
  async run(script: Script, key: string, texts: readonly string[]): Promise<unknown> {
    const nowMs = performance.now();
    const isProbe = this.#isSilent;
    if (this.#unanswered >= UNANSWERED_MAX || (isProbe && nowMs - this.#sentMs < PROBE_MS))
      throw new NoAnswer('this partition of Redis does not answer');
    this.#sentMs = nowMs;
    this.#unanswered += 1;
    const sent = this.#commander.run(script, [key], texts);
    sent
      .then(
        () => (this.#isSilent = false),
        () => undefined,
      )
      .finally(() => (this.#unanswered -= 1));
    if (isProbe)
      throw new NoAnswer(
        'this partition of Redis did not answer; a command was sent to find out whether it does again',
      );
    return withTimeout(sent, this.#waitMs, () => tookTooLong(this.#waitMs)).catch((error: unknown) => {
      if (error instanceof NoAnswer) this.#isSilent = true;
      throw error;
    });
  }
}
