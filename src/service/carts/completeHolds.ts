import { pause } from '../../core/async/pause.ts';
import { flowKeyText } from '../../core/types.ts';
import type { CartKey, DeadlineMs, FoundHold, Line, ShardIndex, CommitDecision } from '../../core/types.ts';
import type { NotDone, BlockedByHolds, OutcomeInDoubt } from '../../core/outcome.ts';
import type { FoundCartState } from '../../core/ports/cartRecords.ts';
import { applyByGroup } from '../orders/applyByGroup.ts';
import { EXISTING_IDS_ONLY } from '../routing/lineRouter.ts';
import type { RoutedToShard } from '../routing/lineRouter.ts';
import type { ServicePorts } from '../servicePorts.ts';
import type { HoldCompletion } from './holdCompletion.ts';

/** The longest pause before undecided holds are read again. The pause is uniformly random. */
const PAUSE_MS_MAX = 40;
const HOLDS_RESOLVED_MAX = 8;
/** The time for reading the record of a cart and completing its holds, for all operations that wait for it. */
const RESOLVE_MS = 3_000;

/** The dependencies of completing holds. */
export type HoldPorts = Pick<ServicePorts, 'routing' | 'engine' | 'carts' | 'records' | 'holdCompletion'>;

/**
 * Does work that holds of carts may block. A blocking hold is completed by the record of its cart, and the work is done
 * again. While the record is open, it waits.
 *
 * @param shard the shard of the work
 * @param waitUntilMs how long it waits for an open cart; holds of decided carts are completed after that too
 * @returns `pending` only when an open cart still blocks the work
 */
export async function completeBlockingHolds<T extends { readonly is: string }>(
  ports: HoldPorts,
  deadlineMs: DeadlineMs,
  waitUntilMs: DeadlineMs,
  shard: ShardIndex,
  work: () => Promise<T | BlockedByHolds>,
): Promise<T | BlockedByHolds | NotDone> {
  for (;;) {
    const outcome = await work();
    if (!isPending(outcome)) return outcome;
    const completion = await completeHolds(
      ports,
      someHolds(outcome.holds).map((hold) => ({ shard, ...hold })),
      deadlineMs,
    );
    if (performance.now() >= (completion === 'open' ? waitUntilMs : deadlineMs)) {
      return completion === 'open'
        ? outcome
        : { is: 'not_done', reason: 'the holds of a cart could not be completed in time' };
    }
    if (completion !== 'settled') await pauseBeforeRetry();
  }
}

/** Completes the holds of decided carts. */
export async function completeHolds(
  ports: HoldPorts,
  holds: readonly FoundHold[],
  deadlineMs: DeadlineMs,
): Promise<HoldCompletion> {
  const completion = await completeHoldsByCart(ports, holds, deadlineMs);
  if (completion.has('settled')) return 'settled';
  return completion.has('open') ? 'open' : 'unreachable';
}

/** Completes the holds of decided carts. @returns each outcome that at least one of the carts had */
export async function completeHoldsByCart(
  ports: HoldPorts,
  holds: readonly FoundHold[],
  deadlineMs: DeadlineMs,
): Promise<ReadonlySet<HoldCompletion>> {
  // The shared work has a deadline of its own, so it must not begin after the caller's deadline. Without this check a
  // late round of the sweeper would begin all its work at once.
  if (performance.now() >= deadlineMs) return new Set(['unreachable']);
  const completions = [...groupByCart(holds)].map(async ([cart, ofCart]) => {
    const key = [cart, ...ofCart.map(flowKeyText).sort()].join('\0');
    // Later callers may have a later deadline than the caller that began the work.
    return (
      (await ports.holdCompletion.run(key, deadlineMs, () =>
        completeHoldsOf(ports, ofCart, performance.now() + RESOLVE_MS),
      )) ?? 'unreachable'
    );
  });
  return new Set(await Promise.all(completions));
}

async function completeHoldsOf(
  ports: HoldPorts,
  holds: readonly FoundHold[],
  deadlineMs: DeadlineMs,
): Promise<HoldCompletion> {
  const [first] = holds;
  if (first === undefined) return 'settled';
  const judged = await readCartState(ports, first, deadlineMs);
  if (judged.is !== 'judged') return 'unreachable';
  if (judged.state === 'open') return 'open';
  // The quantity of an existing flow counts; this one is used only where no flow exists.
  const lines = holds.map(({ sku_id, order_detail_id, shard }) => ({ sku_id, order_detail_id, quantity: 1, shard }));
  return (await completeCart(ports, first, lines, judged.state, deadlineMs)) ? 'settled' : 'unreachable';
}

/** Reads the state of a cart from its record: on its coordinator, or on the shard of its order. */
export function readCartState(
  ports: HoldPorts,
  cart: CartKey,
  deadlineMs: DeadlineMs,
): Promise<FoundCartState | NotDone | OutcomeInDoubt> {
  if (cart.transaction !== undefined) return ports.records.resolve(cart.transaction, cart.order_id, deadlineMs);
  return ports.routing.onOwners<FoundCartState | NotDone | OutcomeInDoubt>((map) =>
    ports.carts.resolve(map.shardOf(cart.order_id), cart, deadlineMs),
  );
}

/**
 * Completes the lines of a cart where they are held.
 *
 * @param isHeld the caller holds these lines itself, so they need not be read
 * @returns whether the completion succeeded on all these shards
 */
export async function completeCart(
  ports: HoldPorts,
  { order_id, attempt, transaction }: CartKey,
  lines: readonly RoutedToShard<Line>[],
  decision: CommitDecision,
  deadlineMs: DeadlineMs,
  isHeld = false,
): Promise<boolean> {
  const completion = {
    ...({ kind: 'settle', order_id, attempt, decision } as const),
    ...(transaction === undefined ? {} : { transaction }),
    ...(isHeld ? ({ isHeld } as const) : {}),
  };
  const completed = await ports.routing.onOwners<{ is: 'settled' } | { is: 'not_done'; reason: string }>(
    async (map) => {
      // A line on another shard than the owner of its slot belongs to a present or former row of a split SKU.
      const routed = lines.map((line) =>
        line.row === undefined && line.shard !== map.shardOf(line.sku_id) ? { ...line, row: EXISTING_IDS_ONLY } : line,
      );
      const outcomes = await applyByGroup(
        ports.engine,
        routed,
        (ofShard) => ({ ...completion, lines: ofShard }),
        deadlineMs,
      );
      if (outcomes.some(({ is }) => is === 'not_mine')) return { is: 'not_mine' };
      return outcomes.every(({ is }) => is === 'applied')
        ? { is: 'settled' }
        : { is: 'not_done', reason: 'a shard did not complete the holds' };
    },
  );
  return completed.is === 'settled';
}

/** Waits for a random time before undecided holds are read again. */
export function pauseBeforeRetry(): Promise<void> {
  return pause(Math.random() * PAUSE_MS_MAX);
}

/**
 * Picks a few of many holds at random. An order that is short of units needs only some of them back, and hundreds of
 * waiting orders must not resolve all holds at once.
 */
function someHolds<H>(holds: readonly H[]): H[] {
  const first = Math.floor(Math.random() * holds.length);
  return [...holds.slice(first), ...holds.slice(0, first)].slice(0, HOLDS_RESOLVED_MAX);
}

function isPending(outcome: { readonly is: string }): outcome is BlockedByHolds {
  return outcome.is === 'pending';
}

/** Groups holds by their cart. */
export function groupByCart<H extends CartKey>(holds: readonly H[]): Map<string, H[]> {
  const groups = new Map<string, H[]>();
  for (const hold of holds) {
    const key = `${hold.order_id}\0${hold.attempt}\0${hold.transaction?.transaction_id ?? ''}`;
    groups.set(key, [...(groups.get(key) ?? []), hold]);
  }
  return groups;
}
