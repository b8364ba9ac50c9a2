import { randomBytes } from 'node:crypto';
import { flowKeyText } from '../core/nouns.ts';
import type { CartKey, CartLine, DeadlineMs, Line, ShardIndex, Verdict } from '../core/nouns.ts';
import type { NotDone, NotMine, ReadFailure, Unknown } from '../core/outcome.ts';
import type { CartBegun, CartJudged, CartRecords, CartStands, LeftOver } from '../core/ports.ts';
import type { NoteUnreadable } from '../core/unreadable.ts';
import { hadNoEffect, Raced, reasonOf, Unavailable, Unreadable } from './failures.ts';
import { withRetries } from './retries.ts';
import { settle } from './settle.ts';
import type { Change } from './settle.ts';
import type { Shard } from './shard.ts';
import { decideCart, insertCart, LINES_FAULT, lockCart, lockLatestCart } from './sql/carts.ts';
import type { LockedCart } from './sql/carts.ts';
import { ownSlots } from './sql/ownSlots.ts';
import { readLeftOver } from './sql/readLeftOver.ts';
import { transact, WORK_MS } from './transaction.ts';

/** Cart records in MySQL. Each change is one transaction, and is carried to a definite end like any other. */
export class CartStore implements CartRecords {
  readonly #shards: readonly Shard[];
  readonly #onUnreadable: NoteUnreadable;

  /** @param onUnreadable called for each record and hold that cannot be read */
  constructor(shards: readonly Shard[], onUnreadable: NoteUnreadable = () => undefined) {
    this.#shards = shards;
    this.#onUnreadable = onUnreadable;
  }

  begin(
    shard: ShardIndex,
    order: { readonly order_id: string; readonly lines: readonly CartLine[] },
    force: boolean,
    deadlineMs: DeadlineMs,
  ): Promise<CartBegun | CartStands | NotDone | NotMine | Unknown> {
    const { order_id } = order;
    const change = beginning(order, force, this.#linesNoted(shard, order_id));
    return this.#settle(shard, order_id, deadlineMs, this.#noting(shard, order_id, change));
  }

  decide(
    shard: ShardIndex,
    cart: CartKey,
    verdict: Verdict,
    deadlineMs: DeadlineMs,
  ): Promise<CartJudged | NotDone | NotMine | Unknown> {
    // Not at the gate: the one who decides must not stand in line behind those who ask.
    return settle(this.#shard(shard), deadlineMs, this.#noting(shard, cart.order_id, deciding(cart, verdict)));
  }

  judge(shard: ShardIndex, cart: CartKey, deadlineMs: DeadlineMs): Promise<CartJudged | NotDone | NotMine | Unknown> {
    const { order_id } = cart;
    const change = judging(cart, this.#linesNoted(shard, order_id));
    return this.#settle(shard, order_id, deadlineMs, this.#noting(shard, order_id, change));
  }

  async findLeftOver(shard: ShardIndex, max: number, deadlineMs: DeadlineMs): Promise<LeftOver | ReadFailure> {
    const { pool, retryBudget } = this.#shard(shard);
    try {
      return await withRetries(deadlineMs, retryBudget, () =>
        transact(pool, deadlineMs, async (transaction) => {
          const value = await readLeftOver(transaction, max, (row) => this.#onUnreadable({ shard, ...row }));
          return { keep: false, value };
        }),
      );
    } catch (error) {
      if (hadNoEffect(error)) return { is: 'not_done', reason: reasonOf(error) };
      throw error;
    }
  }

  /** Notes a record whose lines cannot be read. Its state is used all the same. */
  #linesNoted(shard: ShardIndex, order_id: string): (cart: LockedCart) => void {
    return ({ attempt, lines }) => {
      const row = `order ${JSON.stringify(order_id)} attempt ${attempt}`;
      if (lines === null) this.#onUnreadable({ kind: 'cart', shard, row, reason: LINES_FAULT });
    };
  }

  /** Notes a record that cannot be used at all. */
  #noting<Outcome>(shard: ShardIndex, order_id: string, change: Change<Outcome>): Change<Outcome> {
    const noted = async <T>(work: Promise<T>): Promise<T> => {
      try {
        return await work;
      } catch (error) {
        const row = `order ${JSON.stringify(order_id)}`;
        if (error instanceof Unreadable) this.#onUnreadable({ kind: 'cart', shard, row, reason: error.message });
        throw error;
      }
    };
    return {
      attempt: (transaction) => noted(change.attempt(transaction)),
      recall: (transaction) => noted(change.recall(transaction)),
    };
  }

  /** One transaction at a time about an order's records: many that ask for one cart leave the others their connections. */
  async #settle<Outcome>(
    index: ShardIndex,
    order_id: string,
    deadlineMs: DeadlineMs,
    change: Change<Outcome>,
  ): Promise<Outcome | NotDone | NotMine | Unknown> {
    const shard = this.#shard(index);
    let leave: (() => void) | null = null;
    try {
      leave = await shard.flowGate.enter([`cart\0${order_id}`], deadlineMs - WORK_MS);
      return await settle(shard, deadlineMs, change);
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

function beginning(
  { order_id, lines }: { readonly order_id: string; readonly lines: readonly CartLine[] },
  force: boolean,
  note: (cart: LockedCart) => void,
): Change<CartBegun | CartStands | NotMine> {
  const token = randomBytes(16);
  let intended: CartKey | null = null;
  return {
    async attempt(transaction) {
      if (!(await ownSlots(transaction, [order_id]))) return { keep: false, value: { is: 'not_mine' } };
      const latest = await lockLatestCart(transaction, order_id);
      if (latest !== null) note(latest);
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
    async recall(transaction) {
      if (intended === null) return null;
      const cart = await lockCart(transaction, intended);
      return cart?.token.equals(token) === true ? { is: 'begun', attempt: intended.attempt } : null;
    },
  };
}

function deciding(cart: CartKey, verdict: Verdict): Change<CartJudged | NotMine> {
  return {
    async attempt(transaction) {
      if (!(await ownSlots(transaction, [cart.order_id]))) return { keep: false, value: { is: 'not_mine' } };
      if (await decideCart(transaction, cart, verdict)) return { keep: true, value: { is: 'judged', state: verdict } };
      const standing = await lockCart(transaction, cart);
      // Records are never deleted; one that went with a lost disk cannot be what sells.
      return { keep: false, value: { is: 'judged', state: standing?.state ?? 'aborted' } };
    },
    async recall(transaction) {
      const standing = await lockCart(transaction, cart);
      return standing === null || standing.state === 'open' ? null : { is: 'judged', state: standing.state };
    },
  };
}

function judging(cart: CartKey, note: (cart: LockedCart) => void): Change<CartJudged | NotMine> {
  return {
    async attempt(transaction) {
      if (!(await ownSlots(transaction, [cart.order_id]))) return { keep: false, value: { is: 'not_mine' } };
      const standing = await lockCart(transaction, cart);
      if (standing === null) {
        if (!(await insertCart(transaction, cart, { token: randomBytes(16), state: 'aborted', lines: [] }))) {
          throw new Raced('the record came between two statements');
        }
        return { keep: true, value: { is: 'judged', state: 'aborted' } };
      }
      note(standing);
      if (standing.state !== 'open' || !standing.isAbandoned)
        return { keep: false, value: { is: 'judged', state: standing.state } };
      await decideCart(transaction, cart, 'aborted');
      return { keep: true, value: { is: 'judged', state: 'aborted' } };
    },
    async recall(transaction) {
      const standing = await lockCart(transaction, cart);
      return standing === null ? null : { is: 'judged', state: standing.state };
    },
  };
}

/** @param sold null: unknown. Then another attempt is made, which finds by the flows what was sold. */
function holdsAll(sold: readonly Line[] | null, wanted: readonly Line[]): boolean {
  if (sold === null) return false;
  const quantities = new Map(sold.map((line) => [flowKeyText(line), line.quantity]));
  return wanted.every((line) => quantities.get(flowKeyText(line)) === line.quantity);
}
