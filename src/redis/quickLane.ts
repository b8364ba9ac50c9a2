import type { Commander } from './commander.ts';
import { NoAnswer } from './failures.ts';
import { inTime } from './inTime.ts';
import type { Script } from './script.ts';

/** How often a silent part is asked whether it is there again. */
const PROBE_MS = 500;
/** Commands that are not answered; more fail at once. */
const UNDER_WAY_MAX = 4_096;

/**
 * The way to one part of the keys for requests, which wait for Redis but a moment. A part whose command was not answered in time is
 * silent: nobody waits for it any more. Now and then a command goes there all the same, and the first answer, however late, ends that.
 */
export class QuickLane {
  readonly #commander: Commander;
  readonly #waitMs: number;
  #underWay = 0;
  #isSilent = false;
  #askedMs = -Infinity;

  /** @param waitMs no command is waited for longer */
  constructor(commander: Commander, waitMs: number) {
    this.#commander = commander;
    this.#waitMs = waitMs;
  }

  /** @throws NoAnswer at once where the part is silent, or when the answer does not come in time: it may have run then; whatever the client throws */
  async ask(script: Script, key: string, texts: readonly string[]): Promise<unknown> {
    const nowMs = performance.now();
    const isProbe = this.#isSilent;
    if (this.#underWay >= UNDER_WAY_MAX || (isProbe && nowMs - this.#askedMs < PROBE_MS))
      throw new NoAnswer('this part of Redis is silent');
    this.#askedMs = nowMs;
    this.#underWay += 1;
    const sent = this.#commander.run(script, [key], texts);
    sent
      .then(
        () => (this.#isSilent = false),
        () => undefined,
      )
      .finally(() => (this.#underWay -= 1));
    if (isProbe) throw new NoAnswer('this part of Redis was silent; it is asked again');
    return inTime(sent, this.#waitMs, 'Redis').catch((error: unknown) => {
      if (error instanceof NoAnswer) this.#isSilent = true;
      throw error;
    });
  }
}
