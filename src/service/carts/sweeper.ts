import { chunksOf } from '../../core/async/chunksOf.ts';
import type { CartKey, DeadlineMs, FoundHold, ShardIndex } from '../../core/types.ts';
import { isProgramFault } from '../../core/programFault.ts';
import type { UnfinishedCarts } from '../../core/ports/cartRecords.ts';
import type { ReportUnreadable } from '../../core/unreadableRow.ts';
import { groupByCart, completeHolds, readCartState } from './completeHolds.ts';
import type { ServicePorts } from '../servicePorts.ts';

export interface SweeperOptions {
  readonly shardCount: number;
  /** From the end of one round to the beginning of the next, plus or minus a quarter. */
  readonly everyMs: number;
  /** Rows of each kind that are read in one round, on one shard. */
  readonly rowsMax: number;
  /** Called with the unfinished carts and holds of a shard; null: the shard could not be read. */
  readonly onSwept: (shard: ShardIndex, leftOver: UnfinishedCarts | null) => void;
  /** Called for each cart that failed by itself. The cart is not changed, and later rounds try it again. */
  readonly onUnreadable: ReportUnreadable;
  readonly onFault: (error: unknown) => void;
}

const ROUND_MS = 3_000;
const CARTS_AT_ONCE = 16;
/** Aborted records that are deleted in one round, on one shard. */
const ABORTED_MAX = 500;

/**
 * Finishes or undoes unfinished carts. Every gateway has a sweeper, and any number may work at once: a cart is decided
 * by compare-and-set on its record, and a completion is idempotent.
 */
export class Sweeper {
  readonly #ports: ServicePorts;
  readonly #options: SweeperOptions;
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(ports: ServicePorts, options: SweeperOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  start(): void {
    this.#schedule();
  }

  /** Resolves at the end of the round that is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#round;
  }

  /** Sweeps every shard once. A shard that does not answer delays no other. */
  async sweep(): Promise<void> {
    const deadlineMs = performance.now() + ROUND_MS;
    const shards = Array.from({ length: this.#options.shardCount }, (_, shard): ShardIndex => shard);
    await Promise.all(shards.map((shard) => this.#sweepShard(shard, deadlineMs).catch(this.#options.onFault)));
  }

  #schedule(): void {
    if (this.#isStopped) return;
    const { everyMs } = this.#options;
    this.#timer = setTimeout(
      () => {
        this.#round = this.sweep().finally(() => this.#schedule());
      },
      everyMs * (0.75 + Math.random() / 2),
    );
    this.#timer.unref();
  }

  /** Sweeps carts and split SKUs at the same time: a failure of one kind must not stop the other. */
  async #sweepShard(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<void> {
    await Promise.all([
      this.#sweepCarts(shard, deadlineMs).catch(this.#options.onFault),
      this.#ports.records.deleteAborted(shard, ABORTED_MAX, deadlineMs).catch(this.#options.onFault),
      this.#ports.hot.maintainer.sweep(shard).catch(this.#options.onFault),
    ]);
  }

  async #sweepCarts(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<void> {
    const found = await this.#ports.carts.findUnfinished(shard, this.#options.rowsMax, deadlineMs);
    const leftOver = found.is === 'left_over' ? found : null;
    this.#options.onSwept(shard, leftOver);
    // Records first: the holds of an open cart cannot be completed. A few at a time: requests have priority.
    for (const carts of chunksOf(leftOver?.carts ?? [], CARTS_AT_ONCE)) {
      await Promise.all(carts.map((cart) => this.#orReport(shard, cart, readCartState(this.#ports, cart, deadlineMs))));
    }
    const held = (leftOver?.holds ?? []).map((hold) => ({ shard, ...hold }));
    for (const carts of chunksOf([...groupByCart(held).values()], CARTS_AT_ONCE)) {
      const complete = (holds: readonly FoundHold[]): Promise<void> =>
        this.#orReport(shard, holds[0], completeHolds(this.#ports, holds, deadlineMs));
      await Promise.all(carts.map(complete));
    }
  }

  /** Reports a failure of one cart, which must not stop the others. */
  async #orReport(shard: ShardIndex, cart: CartKey | undefined, work: Promise<unknown>): Promise<void> {
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
