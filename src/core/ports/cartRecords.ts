import type { NotDone, OutcomeInDoubt, ReadFailure, WrongShard } from '../outcome.ts';
import type { CartKey, CartLine, CommitDecision, DeadlineMs, Hold, ShardIndex } from '../types.ts';

export type CartState = 'open' | CommitDecision;

/** A record was written: the caller coordinates this attempt and decides it. */
export interface CartBegun {
  readonly is: 'begun';
  readonly attempt: number;
}

/** No record was written: the order's last attempt is open, or it sold exactly these lines. */
export interface CartExists {
  readonly is: 'open' | 'sold';
  readonly attempt: number;
}

/** The state of a cart record. */
export interface FoundCartState {
  readonly is: 'judged';
  readonly state: CartState;
}

/** The unfinished carts and holds on a shard. */
export interface UnfinishedCarts {
  readonly is: 'left_over';
  /** Carts open for longer than any coordinator may take, in no order. */
  readonly carts: readonly CartKey[];
  /** Holds older than a second, in no order. */
  readonly holds: readonly Hold[];
  readonly cartsOpen: number;
  readonly cartAgeMs: number;
  readonly holdsOpen: number;
  readonly holdAgeMs: number;
}

/**
 * The records of carts. Each is on the shard that owns the slot of its `order_id`. A change of its state is the commit
 * point of the cart.
 */
export interface CartRecords {
  /**
   * Writes the record of an order's next attempt, before any hold is sent.
   *
   * @param force write it also when the last attempt sold exactly these lines
   */
  begin(
    shard: ShardIndex,
    order: { readonly order_id: string; readonly lines: readonly CartLine[] },
    force: boolean,
    deadlineMs: DeadlineMs,
  ): Promise<CartBegun | CartExists | NotDone | WrongShard | OutcomeInDoubt>;

  /** Decides a cart by compare-and-set, for its coordinator. @returns the state of the record afterwards */
  decide(
    shard: ShardIndex,
    cart: CartKey,
    decision: CommitDecision,
    deadlineMs: DeadlineMs,
  ): Promise<FoundCartState | NotDone | WrongShard | OutcomeInDoubt>;

  /**
   * Reads the state of a cart, for callers other than its coordinator. An abandoned cart is aborted first, and a
   * missing record is written as aborted.
   */
  resolve(
    shard: ShardIndex,
    cart: CartKey,
    deadlineMs: DeadlineMs,
  ): Promise<FoundCartState | NotDone | WrongShard | OutcomeInDoubt>;

  /** Finds carts and holds that must be completed or undone. @param max rows of each kind, at most */
  findUnfinished(shard: ShardIndex, max: number, deadlineMs: DeadlineMs): Promise<UnfinishedCarts | ReadFailure>;
}
