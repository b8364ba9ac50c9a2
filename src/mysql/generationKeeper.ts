import { CLOSED, momentOf } from '../core/generations.ts';
import type { Generations, WentBack } from '../core/generations.ts';
import type { DeadlineMs, ShardIndex } from '../core/nouns.ts';
import type { Connection } from './connection.ts';
import { ConnectionLost, ServerError, ShardRefused } from './failures.ts';
import { MOVE_EVERY_MS, moveOn, readReached } from './sql/generation.ts';

/** A failure may cost a connection each time, so it is tried again after twice as long as the time before. */
const PAUSE_MS_MAX = 30_000;

/** Looks after how far one shard has come. */
export class GenerationKeeper {
  readonly #generations: Generations;
  readonly #shard: ShardIndex;
  readonly #onFailure: (reason: string) => void;
  #failures = 0;
  #notBeforeMs = -Infinity;

  /** @param onFailure told when the shard could not be moved on, and why: what is sold until it is may be lost unseen */
  constructor(generations: Generations, shard: ShardIndex, onFailure: (reason: string) => void) {
    this.#generations = generations;
    this.#shard = shard;
    this.#onFailure = onFailure;
  }

  /** @throws ShardRefused when it went back: it was restored from a backup, or another server took its place that has not all of it */
  async check(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
    const had = this.#generations.known(this.#shard);
    const back = this.#generations.learn(this.#shard, await readReached(connection, deadlineMs), had);
    if (back === null) return;
    throw new ShardRefused(`${inWords(back)}, see \`npm run reconcile -- --restored\``);
  }

  /**
   * Moves the shard on when that is due. A shard that takes no writes now is moved on later; what it says of itself is true all the same.
   *
   * @param epochMs what its clock says
   */
  async moveOn(connection: Connection, epochMs: number, deadlineMs: DeadlineMs): Promise<void> {
    const known = this.#generations.known(this.#shard);
    const ageMs = epochMs - known / 1_000;
    // Far ahead of its clock it was before the clock was set back.
    const isDue = ageMs >= MOVE_EVERY_MS || ageMs < -MOVE_EVERY_MS;
    if (!isDue || performance.now() < this.#notBeforeMs || !this.#generations.mayMove(this.#shard)) return;
    try {
      await moveOn(connection, this.#shard, known, this.#generations.ofOthers(this.#shard), deadlineMs);
      this.#failures = 0;
    } catch (error) {
      if (!(error instanceof ServerError) && !(error instanceof ConnectionLost)) throw error;
      // Where the connection is as good as before, as after a deadlock, the next look may try again.
      if (connection.isLost)
        this.#notBeforeMs = performance.now() + Math.min(PAUSE_MS_MAX, MOVE_EVERY_MS * 2 ** this.#failures);
      this.#failures += 1;
      this.#onFailure(error.message);
    }
  }
}

function inWords({ shows, had, mark }: WentBack): string {
  const back =
    shows < had
      ? [
          `it shows what was true at ${momentOf(shows)} and had reached ${momentOf(had)}: it was restored from a backup, and what was sold since is missing`,
        ]
      : [];
  const marked =
    mark === null
      ? []
      : [
          mark === CLOSED
            ? 'an operator keeps gateways from it'
            : 'a state before was copied over it and not to the end',
        ];
  return [...back, ...marked].join('; ');
}
