import { flowKeyText } from '../core/nouns.ts';
import type { CartKey, DeadlineMs, FoundHold, Line, ShardIndex, Verdict } from '../core/nouns.ts';
import type { NotDone, Pending, Unknown } from '../core/outcome.ts';
import type { CartJudged } from '../core/ports.ts';
import { applyOperation } from './applyOperation.ts';
import { byShard, PAST } from './hot/placing.ts';
import type { At } from './hot/placing.ts';
import type { Parts } from './parts.ts';
import { Sharing } from './sharing.ts';

/** The pause before holds that are still undecided are asked for again, drawn evenly up to this. */
const PAUSE_MS_MAX = 40;
const HOLDS_ASKED_MAX = 8;
/** What asking for a cart and settling it may take, whoever waits for it. */
const FREE_MS = 3_000;

/** What the freeing of holds works with. */
export type HoldParts = Pick<Parts, 'routing' | 'engine' | 'carts' | 'freeing'>;

/** What became of some holds: at least one is gone; or a cart is open; or its record, or the hold's shard, could not be reached. */
export type Freed = 'settled' | 'open' | 'unreachable';

/** Buyers of one SKU meet the same holds: each cart's record is asked, and its holds are settled, for all of them together. */
export function shareFreeing(): Sharing<Freed> {
  return new Sharing((freed) => freed === 'settled');
}

/**
 * Does something that carts may be in the way of. Whoever meets a hold settles it by its cart's record; while that is
 * open it is waited for.
 *
 * @param shard where the work is done
 * @param waitUntilMs after it nobody waits for an open cart; what has been decided is settled all the same
 * @returns `pending` only when a cart that is open is still in the way
 */
export async function pastHolds<T extends { readonly is: string }>(
  parts: HoldParts,
  deadlineMs: DeadlineMs,
  waitUntilMs: DeadlineMs,
  shard: ShardIndex,
  work: () => Promise<T | Pending>,
): Promise<T | Pending | NotDone> {
  for (;;) {
    const outcome = await work();
    if (!isPending(outcome)) return outcome;
    const freed = await freeHolds(
      parts,
      someOf(outcome.holds).map((hold) => ({ shard, ...hold })),
      deadlineMs,
    );
    if (performance.now() >= (freed === 'open' ? waitUntilMs : deadlineMs)) {
      return freed === 'open'
        ? outcome
        : { is: 'not_done', reason: 'the holds of a cart could not be settled in time' };
    }
    if (freed !== 'settled') await pause();
  }
}

/** Settles those holds whose carts are decided. */
export async function freeHolds(parts: HoldParts, holds: readonly FoundHold[], deadlineMs: DeadlineMs): Promise<Freed> {
  const freed = await freeEach(parts, holds, deadlineMs);
  if (freed.has('settled')) return 'settled';
  return freed.has('open') ? 'open' : 'unreachable';
}

/** The same, for who must know of each. @returns everything that became of one of them */
export async function freeEach(
  parts: HoldParts,
  holds: readonly FoundHold[],
  deadlineMs: DeadlineMs,
): Promise<ReadonlySet<Freed>> {
  // Work of its own deadline is not begun for who has no time left: a late round of the sweeper must not begin all at once.
  if (performance.now() >= deadlineMs) return new Set(['unreachable']);
  const freed = [...byCart(holds)].map(async ([cart, ofCart]) => {
    const key = [cart, ...ofCart.map(flowKeyText).sort()].join('\0');
    // Others may wait for longer than who began it.
    return (
      (await parts.freeing.do(key, deadlineMs, () => freeCart(parts, ofCart, performance.now() + FREE_MS))) ??
      'unreachable'
    );
  });
  return new Set(await Promise.all(freed));
}

async function freeCart(parts: HoldParts, holds: readonly FoundHold[], deadlineMs: DeadlineMs): Promise<Freed> {
  const [first] = holds;
  if (first === undefined) return 'settled';
  const judged = await judgeCart(parts, first, deadlineMs);
  if (judged.is !== 'judged') return 'unreachable';
  if (judged.state === 'open') return 'open';
  // A flow that stands has its quantity; this one is used only where none does.
  const lines = holds.map(({ sku_id, order_detail_id, shard }) => ({ sku_id, order_detail_id, quantity: 1, shard }));
  return (await settleCart(parts, first, lines, judged.state, deadlineMs)) ? 'settled' : 'unreachable';
}

/** Asks for a cart's state on the shard of its order. */
export function judgeCart(
  parts: HoldParts,
  cart: CartKey,
  deadlineMs: DeadlineMs,
): Promise<CartJudged | NotDone | Unknown> {
  return parts.routing.onOwners<CartJudged | NotDone | Unknown>((map) =>
    parts.carts.judge(map.shardOf(cart.order_id), cart, deadlineMs),
  );
}

/** Carries a verdict out where the lines of a cart are held. @returns whether it now stands on all these shards */
export async function settleCart(
  parts: HoldParts,
  { order_id, attempt }: CartKey,
  lines: readonly At<Line>[],
  verdict: Verdict,
  deadlineMs: DeadlineMs,
): Promise<boolean> {
  const settled = await parts.routing.onOwners<{ is: 'settled' } | { is: 'not_done'; reason: string }>(async (map) => {
    // What lies where its slot does not is a row of a split SKU, or was.
    const named = lines.map((line) =>
      line.row === undefined && line.shard !== map.shardOf(line.sku_id) ? { ...line, row: PAST } : line,
    );
    const outcomes = await Promise.all(
      [...byShard(named)].map(([shard, ofShard]) =>
        applyOperation(parts.engine, shard, { kind: 'settle', order_id, attempt, verdict, lines: ofShard }, deadlineMs),
      ),
    );
    if (outcomes.some(({ is }) => is === 'not_mine')) return { is: 'not_mine' };
    return outcomes.every(({ is }) => is === 'applied')
      ? { is: 'settled' }
      : { is: 'not_done', reason: 'a shard did not settle' };
  });
  return settled.is === 'settled';
}

export function pause(ms: number = Math.random() * PAUSE_MS_MAX): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A few of many: who lacks units needs some of them back, and hundreds who wait must not ask for everything at once. */
function someOf<H>(holds: readonly H[]): H[] {
  const first = Math.floor(Math.random() * holds.length);
  return [...holds.slice(first), ...holds.slice(0, first)].slice(0, HOLDS_ASKED_MAX);
}

function isPending(outcome: { readonly is: string }): outcome is Pending {
  return outcome.is === 'pending';
}

/** Holds by the cart that they are for. */
export function byCart<H extends CartKey>(holds: readonly H[]): Map<string, H[]> {
  const groups = new Map<string, H[]>();
  for (const hold of holds) {
    const key = `${hold.order_id}\0${hold.attempt}`;
    groups.set(key, [...(groups.get(key) ?? []), hold]);
  }
  return groups;
}
