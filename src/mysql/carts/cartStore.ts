import { randomBytes } from 'node:crypto';
import { flowKeyText } from '../../core/types.ts';
import type { CartKey, CartLine, DeadlineMs, Line, ShardIndex, CommitDecision } from '../../core/types.ts';
import type { NotDone, WrongShard, ReadFailure, OutcomeInDoubt } from '../../core/outcome.ts';
import type {
  CartBegun,
  CartExists,
  CartRecords,
  FoundCartState,
  UnfinishedCarts,
} from '../../core/ports/cartRecords.ts';
import type { ReportUnreadable } from '../../core/unreadableRow.ts';
import { hadNoEffect, Raced, Unavailable } from '../connection/failures.ts';
import { reportingUnreadable } from '../connection/reportingUnreadable.ts';
import { withRetries } from '../connection/retries.ts';
import { commitChange } from '../connection/commitChange.ts';
import type { Change } from '../connection/commitChange.ts';
import type { Shard } from '../shard.ts';
import { LINES_FAULT } from '../sql/carts/cartLines.ts';
import { decideCart, insertCart, lockCart, lockLatestCart } from '../sql/carts/carts.ts';
import type { LockedCart } from '../sql/carts/carts.ts';
import { ownSlots } from '../sql/session/ownSlots.ts';
import { readUnfinishedCarts } from '../sql/carts/readUnfinishedCarts.ts';
import { transact, WORK_MS } from '../connection/transaction.ts';
import { errorText } from '../../core/text/errorText.ts';

/** Cart records in MySQL. Each change is one transaction; if its COMMIT is not answered, the outcome is resolved. */
export class CartStore implements CartRecords {
  readonly #shards: readonly Shard[];
  readonly #onUnreadable: ReportUnreadable;

  /** @param onUnreadable called for each record and hold that cannot be read */
  constructor(shards: readonly Shard[], onUnreadable: ReportUnreadable = () => undefined) {
    this.#shards = shards;
    this.#onUnreadable = onUnreadable;
  }

  begin(
    shard: ShardIndex,
    order: { readonly order_id: string; readonly lines: readonly CartLine[] },
    force: boolean,
    deadlineMs: DeadlineMs,
  ): Promise<CartBegun | CartExists | NotDone | WrongShard | OutcomeInDoubt> {
    const { order_id } = order;
    const change = beginChange(order, force, this.#reportLines(shard, order_id));
    return this.#runGated(shard, order_id, deadlineMs, this.#reporting(shard, order_id, change));
  }

  decide(
    shard: ShardIndex,
    cart: CartKey,
    decision: CommitDecision,
    deadlineMs: DeadlineMs,
  ): Promise<FoundCartState | NotDone | WrongShard | OutcomeInDoubt> {
    // Without the gate: the decision must not wait behind other requests for the same cart.
    return commitChange(
      this.#shard(shard),
      deadlineMs,
      this.#reporting(shard, cart.order_id, decideChange(cart, decision)),
    );
  }

  resolve(
    shard: ShardIndex,
    cart: CartKey,
    deadlineMs: DeadlineMs,
  ): Promise<FoundCartState | NotDone | WrongShard | OutcomeInDoubt> {
    const { order_id } = cart;
    const change = judgeChange(cart, this.#reportLines(shard, order_id));
    return this.#runGated(shard, order_id, deadlineMs, this.#reporting(shard, order_id, change));
  }

  async findUnfinished(shard: ShardIndex, max: number, deadlineMs: DeadlineMs): Promise<UnfinishedCarts | ReadFailure> {
    const { pool, retryBudget } = this.#shard(shard);
    try {
      return await withRetries(deadlineMs, retryBudget, () =>
        transact(pool, deadlineMs, async (transaction) => {
          const value = await readUnfinishedCarts(transaction, max, (row) => this.#onUnreadable({ shard, ...row }));
          return { keep: false, value };
        }),
      );
    } catch (error) {
      if (hadNoEffect(error)) return { is: 'not_done', reason: errorText(error) };
      throw error;
    }
  }

  /** Reports a record whose lines cannot be read. Its state is used nevertheless. */
  #reportLines(shard: ShardIndex, order_id: string): (cart: LockedCart) => void {
    return ({ attempt, lines }) => {
      const row = `order ${JSON.stringify(order_id)} attempt ${attempt}`;
      if (lines === null) this.#onUnreadable({ kind: 'cart', shard, row, reason: LINES_FAULT });
    };
  }

  /** Reports a record that cannot be used at all. */
  #reporting<Outcome>(shard: ShardIndex, order_id: string, change: Change<Outcome>): Change<Outcome> {
    const row = `order ${JSON.stringify(order_id)}`;
    return reportingUnreadable(change, ({ message: reason }) =>
      this.#onUnreadable({ kind: 'cart', shard, row, reason }),
    );
  }

  /** One transaction at a time per order: many requests for one cart leave the connections to other orders. */
  async #runGated<Outcome>(
    index: ShardIndex,
    order_id: string,
    deadlineMs: DeadlineMs,
    change: Change<Outcome>,
  ): Promise<Outcome | NotDone | WrongShard | OutcomeInDoubt> {
    const shard = this.#shard(index);
    let leave: (() => void) | null = null;
    try {
      leave = await shard.flowGate.enter([`cart\0${order_id}`], deadlineMs - WORK_MS);
      return await commitChange(shard, deadlineMs, change);
    } catch (error) {
      if (error instanceof Unavailable) return { is: 'not_done', reason: error.message };
      throw error;
    } finally {
      leave?.();
    }
  }

  #shard(index: ShardIndex): Shard {
    const shard = this.#shards[index];
    if (shard === undefined) throw new RangeError(`there is no shard ${index}`);
    return shard;
  }
}

function beginChange(
  { order_id, lines }: { readonly order_id: string; readonly lines: readonly CartLine[] },
  force: boolean,
  report: (cart: LockedCart) => void,
): Change<CartBegun | CartExists | WrongShard> {
  const token = randomBytes(16);
  let intended: CartKey | null = null;
  return {
    async attempt(transaction) {
      if (!(await ownSlots(transaction, [order_id]))) return { keep: false, value: { is: 'not_mine' } };
      const latest = await lockLatestCart(transaction, order_id);
      if (latest !== null) report(latest);
      if (latest?.state === 'open') {
        if (!latest.isAbandoned) return { keep: false, value: { is: 'open', attempt: latest.attempt } };
        await decideCart(transaction, { order_id, attempt: latest.attempt }, 'aborted');
      }
      if (latest?.state === 'committed' && !force && holdsAll(latest.lines, lines))
        return { keep: false, value: { is: 'sold', attempt: latest.attempt } };
      intended = { order_id, attempt: (latest?.attempt ?? 0) + 1 };
      if (!(await insertCart(transaction, intended, { token, state: 'open', lines })))
        throw new Raced('another attempt began between two statements');
      return { keep: true, value: { is: 'begun', attempt: intended.attempt } };
    },
    async resolveInDoubt(transaction) {
      if (intended === null) return null;
      const cart = await lockCart(transaction, intended);
      return cart?.token.equals(token) === true ? { is: 'begun', attempt: intended.attempt } : null;
    },
  };
}

function decideChange(cart: CartKey, decision: CommitDecision): Change<FoundCartState | WrongShard> {
  return {
    async attempt(transaction) {
      if (!(await ownSlots(transaction, [cart.order_id]))) return { keep: false, value: { is: 'not_mine' } };
      if (await decideCart(transaction, cart, decision))
        return { keep: true, value: { is: 'judged', state: decision } };
      const found = await lockCart(transaction, cart);
      // Records are never deleted. If a lost disk took the record, the cart is not sold.
      return { keep: false, value: { is: 'judged', state: found?.state ?? 'aborted' } };
    },
    async resolveInDoubt(transaction) {
      const found = await lockCart(transaction, cart);
      return found === null || found.state === 'open' ? null : { is: 'judged', state: found.state };
    },
  };
}

function judgeChange(cart: CartKey, report: (cart: LockedCart) => void): Change<FoundCartState | WrongShard> {
  return {
    async attempt(transaction) {
      if (!(await ownSlots(transaction, [cart.order_id]))) return { keep: false, value: { is: 'not_mine' } };
      const found = await lockCart(transaction, cart);
      if (found === null) {
        if (!(await insertCart(transaction, cart, { token: randomBytes(16), state: 'aborted', lines: [] }))) {
          throw new Raced('another transaction inserted the record between two statements');
        }
        return { keep: true, value: { is: 'judged', state: 'aborted' } };
      }
      report(found);
      if (found.state !== 'open' || !found.isAbandoned)
        return { keep: false, value: { is: 'judged', state: found.state } };
      await decideCart(transaction, cart, 'aborted');
      return { keep: true, value: { is: 'judged', state: 'aborted' } };
    },
    async resolveInDoubt(transaction) {
      const found = await lockCart(transaction, cart);
      return found === null ? null : { is: 'judged', state: found.state };
    },
  };
}

/** @param sold null: not known. Then another attempt begins, which finds in the flows what was sold. */
function holdsAll(sold: readonly Line[] | null, wanted: readonly Line[]): boolean {
  if (sold === null) return false;
  const quantities = new Map(sold.map((line) => [flowKeyText(line), line.quantity]));
  return wanted.every((line) => quantities.get(flowKeyText(line)) === line.quantity);
}
