import { MARK_CLOSED, watermarkText } from '../../core/restore/watermarks.ts';
import type { KnownWatermarks, RestoredWatermark } from '../../core/restore/watermarks.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { Connection } from '../connection/connection.ts';
import { ConnectionLost, ServerError, ShardRefused } from '../connection/failures.ts';
import { RAISE_EVERY_MS, raiseWatermark, readWatermarks } from '../sql/restore/watermarks.ts';

/** The longest pause after a failure. Each failure doubles the pause, because each may cost a connection. */
const PAUSE_MS_MAX = 30_000;

/** Maintains the watermark of one shard. */
export class WatermarkKeeper {
  readonly #watermarks: KnownWatermarks;
  readonly #shard: ShardIndex;
  readonly #onFailure: (reason: string) => void;
  #failures = 0;
  #notBeforeMs = -Infinity;

  /**
   * @param onFailure receives why the watermark was not raised; until it is raised, a restore can lose sales unnoticed
   */
  constructor(watermarks: KnownWatermarks, shard: ShardIndex, onFailure: (reason: string) => void) {
    this.#watermarks = watermarks;
    this.#shard = shard;
    this.#onFailure = onFailure;
  }

  /**
   * @throws ShardRefused when the watermark went back: the shard was restored from a backup, or another server took its
   *   place that lacks some of its data
   */
  async check(connection: Connection, deadlineMs: DeadlineMs): Promise<void> {
    const watermarkBefore = this.#watermarks.known(this.#shard);
    const back = this.#watermarks.learn(this.#shard, await readWatermarks(connection, deadlineMs), watermarkBefore);
    if (back === null) return;
    throw new ShardRefused(`${describe(back)}, see \`npm run reconcile -- --restored\``);
  }

  /**
   * Raises the watermark when that is due. A shard that accepts no writes now gets it later. The watermark that was
   * read is right in both cases.
   *
   * @param epochMs the time on the shard's clock
   */
  async raise(connection: Connection, epochMs: number, deadlineMs: DeadlineMs): Promise<void> {
    const known = this.#watermarks.known(this.#shard);
    const ageMs = epochMs - known / 1_000;
    // A watermark far ahead of the shard's clock was written before the clock was set back.
    const isDue = ageMs >= RAISE_EVERY_MS || ageMs < -RAISE_EVERY_MS;
    if (!isDue || performance.now() < this.#notBeforeMs || !this.#watermarks.mayAdvance(this.#shard)) return;
    try {
      await raiseWatermark(connection, this.#shard, known, this.#watermarks.ofOthers(this.#shard), deadlineMs);
      this.#failures = 0;
    } catch (error) {
      if (!(error instanceof ServerError) && !(error instanceof ConnectionLost)) throw error;
      // If the connection is still usable, as after a deadlock, the next inspection may try again.
      if (connection.isLost)
        this.#notBeforeMs = performance.now() + Math.min(PAUSE_MS_MAX, RAISE_EVERY_MS * 2 ** this.#failures);
      this.#failures += 1;
      this.#onFailure(error.message);
    }
  }
}

function describe({ watermark, watermarkBefore, mark }: RestoredWatermark): string {
  const back =
    watermark < watermarkBefore
      ? [
          `it shows the state of ${watermarkText(watermark)}, but had reached ${watermarkText(watermarkBefore)}: ` +
            'it was restored from a backup, and sales since then are missing',
        ]
      : [];
  const marked =
    mark === null
      ? []
      : [
          mark === MARK_CLOSED
            ? 'an operator keeps gateways from it'
            : 'a reference copy was copied over it, but not completely',
        ];
  return [...back, ...marked].join('; ');
}
