import type { CartKey, DeadlineMs, FoundHold, ShardIndex } from '../core/nouns.ts';
import { isProgramFault } from '../core/programFault.ts';
import type { LeftOver } from '../core/ports.ts';
import type { NoteUnreadable } from '../core/unreadable.ts';
import { byCart, freeHolds, judgeCart } from './freeHolds.ts';
import type { Parts } from './parts.ts';

export interface SweeperOptions {
  readonly shardCount: number;
  /** From the end of one round to the beginning of the next, give or take a quarter. */
  readonly everyMs: number;
  /** Rows of each kind looked at in one round, on one shard. */
  readonly rowsMax: number;
  /** Told what a shard had left over, or null when it could not be asked. */
  readonly onSwept: (shard: ShardIndex, leftOver: LeftOver | null) => void;
  /** Called for each cart that failed by itself; it stays as it is, and is tried again in later rounds. */
  readonly onUnreadable: NoteUnreadable;
  readonly onFault: (error: unknown) => void;
}

const ROUND_MS = 3_000;
const AT_A_TIME = 16;

/**
 * Finishes or undoes what carts have left over. Every gateway has one, and any number may work at once: a cart is decided
 * by compare-and-set on its record, and a verdict can be carried out any number of times.
 */
export class Sweeper {
  readonly #parts: Parts;
  readonly #options: SweeperOptions;
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(parts: Parts, options: SweeperOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  start(): void {
    this.#plan();
  }

  /** Resolves when the round that is under way is over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#round;
  }

  /** Sweeps every shard once; one that does not answer holds up no other. */
  async sweep(): Promise<void> {
    const deadlineMs = performance.now() + ROUND_MS;
    const shards = Array.from({ length: this.#options.shardCount }, (_, shard): ShardIndex => shard);
    await Promise.all(shards.map((shard) => this.#sweepShard(shard, deadlineMs).catch(this.#options.onFault)));
  }

  #plan(): void {
    if (this.#stopped) return;
    const { everyMs } = this.#options;
    this.#timer = setTimeout(
      () => {
        this.#round = this.sweep().finally(() => this.#plan());
      },
      everyMs * (0.75 + Math.random() / 2),
    );
    this.#timer.unref();
  }

  /** Carts and split SKUs do not wait for each other: a failure of one kind must not stop the other. */
  async #sweepShard(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<void> {
    await Promise.all([
      this.#sweepCarts(shard, deadlineMs).catch(this.#options.onFault),
      this.#parts.hot.keeper.sweep(shard).catch(this.#options.onFault),
    ]);
  }

  async #sweepCarts(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<void> {
    const found = await this.#parts.carts.findLeftOver(shard, this.#options.rowsMax, deadlineMs);
    const leftOver = found.is === 'left_over' ? found : null;
    this.#options.onSwept(shard, leftOver);
    // Records first: a hold whose cart is open cannot be settled. A few at a time: customers come first.
    for (const carts of chunks(leftOver?.carts ?? [])) {
      await Promise.all(carts.map((cart) => this.#orNoted(shard, cart, judgeCart(this.#parts, cart, deadlineMs))));
    }
    const held = (leftOver?.holds ?? []).map((hold) => ({ shard, ...hold }));
    for (const carts of chunks([...byCart(held).values()])) {
      const settle = (holds: readonly FoundHold[]): Promise<void> =>
        this.#orNoted(shard, holds[0], freeHolds(this.#parts, holds, deadlineMs));
      await Promise.all(carts.map(settle));
    }
  }

  /** A failure of one cart must not stop the others. */
  async #orNoted(shard: ShardIndex, cart: CartKey | undefined, work: Promise<unknown>): Promise<void> {
    try {
      await work;
    } catch (error) {
      if (isProgramFault(error)) this.#options.onFault(error);
      const row = cart === undefined ? 'a cart' : `order ${JSON.stringify(cart.order_id)} attempt ${cart.attempt}`;
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#options.onUnreadable({ kind: 'cart', shard, row, reason });
    }
  }
}

function chunks<T>(all: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / AT_A_TIME) }, (_, index) =>
    all.slice(index * AT_A_TIME, (index + 1) * AT_A_TIME),
  );
}
