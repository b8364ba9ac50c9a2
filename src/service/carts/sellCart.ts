import { flowKeyText } from '../../core/types.ts';
import type { CartKey, DeadlineMs, Line, ShardIndex } from '../../core/types.ts';
import { refusedLines } from '../../core/outcome.ts';
import type { Deducted, DeductedLine, HoldOutcome, NotDone, Refused, OutcomeInDoubt } from '../../core/outcome.ts';
import type { CartBegun, CartExists, FoundCartState } from '../../core/ports/cartRecords.ts';
import { idStatusOf } from '../../core/idStatus.ts';
import { findDeductions } from '../orders/findDeductions.ts';
import { atMostUntil } from '../../core/async/atMostUntil.ts';
import { pause } from '../../core/async/pause.ts';
import { cartShares } from './cartShares.ts';
import { completeBlockingHolds, pauseBeforeRetry } from './completeHolds.ts';
import { COMPLETION_MS, completeUntilDone } from './completeUntilDone.ts';
import { applyWithTransfers } from '../hot/applyWithTransfers.ts';
import { byShard, isMisrouted, LineRouter } from '../routing/lineRouter.ts';
import type { RoutedToShard } from '../routing/lineRouter.ts';
import type { ServicePorts } from '../servicePorts.ts';

interface Order {
  readonly order_id: string;
  readonly lines: readonly Line[];
}

/** An attempt ended without a commit decision; the next attempt holds one shard after the other. */
interface Retry {
  readonly is: 'retry';
}

/** The longest pause before the next attempt, while the cart holds nothing. The pause is uniformly random. */
const PAUSE_MS_MAX = 100;
/** An attempt begins only with more time than this before the deadline. */
const ATTEMPT_MS = 600;

type Ended = Deducted | Refused | NotDone | OutcomeInDoubt;

/**
 * Sells an order over several shards, all or nothing. It writes the cart record, holds the lines on every shard,
 * decides the record by one compare-and-set, and completes the holds after the answer. Nothing is sold before the
 * record is committed, and only this function commits it.
 */
export async function sellCart(ports: ServicePorts, order: Order, deadlineMs: DeadlineMs): Promise<Ended> {
  const release = await ports.cartQueue.enter(cartShares(order), deadlineMs - 2 * ATTEMPT_MS);
  if (release === null) return { is: 'not_done', reason: 'too many carts were under way' };
  try {
    return await attemptUntil(ports, order, deadlineMs);
  } finally {
    release();
  }
}

async function attemptUntil(ports: ServicePorts, order: Order, deadlineMs: DeadlineMs): Promise<Ended> {
  let isSequential = false;
  let force = false;
  const router = new LineRouter(ports, order.lines);
  while (performance.now() + ATTEMPT_MS < deadlineMs) {
    const routed = await router.route(deadlineMs);
    if ('is' in routed) return routed;
    const begun = await ports.routing.onOwners<CartBegun | CartExists | NotDone | OutcomeInDoubt>((map) =>
      ports.carts.begin(map.shardOf(order.order_id), { ...order, lines: routed }, force, deadlineMs),
    );
    // If the record was written, it is open and is never committed.
    if (begun.is === 'unknown') return { is: 'not_done', reason: begun.reason };
    if (begun.is === 'not_done') return begun;
    if (begun.is === 'sold') {
      const replay = await replayOf(ports, order, deadlineMs);
      if (replay !== null) return replay;
      force = true;
    } else if (begun.is === 'begun') {
      const ended = await attempt(
        ports,
        { ...order, lines: routed },
        { begun: begun.attempt, isSequential, router },
        deadlineMs,
      );
      if (ended.is !== 'retry') return ended;
      isSequential = true;
      await pause(Math.random() * PAUSE_MS_MAX);
    } else {
      await pauseBeforeRetry();
    }
  }
  return { is: 'not_done', reason: 'undecided carts blocked the order until its deadline' };
}

/** The answer to an order that was sold before; null when some of its lines are no longer deducted. */
async function replayOf(
  ports: ServicePorts,
  { order_id, lines }: Order,
  deadlineMs: DeadlineMs,
): Promise<Deducted | NotDone | null> {
  const found = await findDeductions(ports, lines, deadlineMs);
  if (found.is !== 'found') return found;
  const answered: DeductedLine[] = [];
  for (const [index, line] of lines.entries()) {
    const flow = found.deductions[index]?.flow;
    if (flow?.status !== 'deducted' || idStatusOf({ order_id, attempt: 0 }, line, flow) !== 'replay') return null;
    answered.push({ ...line, replayed: true, returned: flow.returned });
  }
  return { is: 'deducted', lines: answered };
}

interface RoutedOrder extends Order {
  readonly lines: readonly RoutedToShard<Line>[];
}

interface Attempt {
  /** The attempt number in the cart record. */
  readonly begun: number;
  /** Whether the shards are held one after the other. */
  readonly isSequential: boolean;
  /** Receives the redirects of shards that do not own a line. */
  readonly router: LineRouter<Line>;
}

/** Runs one attempt, from its first hold to its outcome. */
async function attempt(
  ports: ServicePorts,
  order: RoutedOrder,
  { begun, isSequential, router }: Attempt,
  deadlineMs: DeadlineMs,
): Promise<Ended | Retry> {
  const cart: CartKey = { order_id: order.order_id, attempt: begun };
  const holds = await holdAll(ports, cart, order.lines, isSequential, deadlineMs);
  const fault = holds.find((hold) => hold.fault !== null)?.fault ?? null;
  if (fault !== null) {
    // An unexpected fault: the holds are undone, and the caller receives an unknown outcome.
    ports.backgroundTasks.add(() => abortCart(ports, cart, holds));
    throw fault;
  }
  const lines = answeredLines(order.lines, holds);
  if (lines === null) {
    const ended = outcomeOf(order.lines, holds);
    const undone = abortCart(ports, cart, holds);
    ports.backgroundTasks.add(() => undone);
    if (ended.is !== 'retry') return ended;
    const [failure] = await Promise.all([followRedirects(router, holds, deadlineMs), atMostUntil(deadlineMs, undone)]);
    return failure ?? ended;
  }
  if (lines.every(({ replayed }) => replayed)) {
    ports.backgroundTasks.add(() => abortCart(ports, cart, holds));
    return { is: 'deducted', lines };
  }
  const decided = await decide(ports, cart, 'committed', deadlineMs);
  if (decided.is === 'unknown') return decided;
  if (decided.is === 'judged' && decided.state === 'committed') {
    const fresh = new Set(lines.filter(({ replayed }) => !replayed).map(flowKeyText));
    ports.backgroundTasks.add(() =>
      completeUntilDone(
        ports,
        cart,
        order.lines.filter((line) => fresh.has(flowKeyText(line))),
        'committed',
      ),
    );
    return { is: 'deducted', lines };
  }
  // The cart is not committed, and only this function commits it. Either another gateway aborted it as too slow, or the
  // shard of the record did not accept the decision.
  const undone = abortCart(ports, cart, holds);
  ports.backgroundTasks.add(() => undone);
  if (decided.is !== 'judged') return decided;
  await atMostUntil(deadlineMs, undone);
  return { is: 'retry' };
}

interface HeldShard {
  readonly lines: readonly RoutedToShard<Line>[];
  readonly outcome: HoldOutcome;
  /** An unexpected error; the outcome is then unknown. */
  readonly fault: Error | null;
}

/**
 * Holds on all shards at once, or on one after the other in ascending order. In that order, an attempt that waits for a
 * lower shard holds nothing on a higher one.
 */
async function holdAll(
  ports: ServicePorts,
  cart: CartKey,
  lines: readonly RoutedToShard<Line>[],
  isSequential: boolean,
  deadlineMs: DeadlineMs,
): Promise<HeldShard[]> {
  const groups = [...byShard(lines)].sort(([a], [b]) => a - b);
  const holdOn = async ([shard, ofShard]: readonly [
    ShardIndex,
    readonly RoutedToShard<Line>[],
  ]): Promise<HeldShard> => {
    const operation = { kind: 'hold', ...cart, lines: ofShard } as const;
    const waitUntilMs = isSequential ? deadlineMs - ATTEMPT_MS : 0;
    try {
      const outcome = await completeBlockingHolds<HoldOutcome>(ports, deadlineMs, waitUntilMs, shard, () =>
        applyWithTransfers(ports, shard, operation, deadlineMs),
      );
      return { lines: ofShard, outcome, fault: null };
    } catch (error) {
      const fault = error instanceof Error ? error : new Error(String(error));
      return { lines: ofShard, outcome: { is: 'unknown', reason: fault.message }, fault };
    }
  };
  if (!isSequential) return Promise.all(groups.map(holdOn));
  const held: HeldShard[] = [];
  for (const group of groups) {
    const last = await holdOn(group);
    held.push(last);
    // The answer has the first code of all refusals in their fixed order, so the remaining shards are asked too.
    if (last.outcome.is !== 'held' && last.outcome.is !== 'refused') break;
  }
  return held;
}

/** The lines of a completely held cart, in the order of the request; null when a line is not held. */
function answeredLines(lines: readonly Line[], holds: readonly HeldShard[]): DeductedLine[] | null {
  const held = new Map(
    holds
      .flatMap(({ outcome }) => (outcome.is === 'held' ? outcome.lines : []))
      .map((line) => [flowKeyText(line), line]),
  );
  const answered = lines.flatMap((line) => held.get(flowKeyText(line)) ?? []);
  return answered.length === lines.length ? answered : null;
}

/**
 * Aborts the record, and undoes the holds that exist or may exist. A shard with any other outcome than `held` or
 * `unknown` holds nothing.
 */
async function abortCart(ports: ServicePorts, cart: CartKey, holds: readonly HeldShard[]): Promise<void> {
  const held = holds.flatMap(({ lines, outcome }) => {
    if (outcome.is === 'held') return lines.filter((_, index) => outcome.lines[index]?.replayed === false);
    return outcome.is === 'unknown' ? lines : [];
  });
  // Both at once: only this coordinator could have committed the record, so the holds can be undone in any case.
  const decided = decide(ports, cart, 'aborted', performance.now() + COMPLETION_MS);
  await Promise.all([decided, completeUntilDone(ports, cart, held, 'aborted')]);
}

/** Applies the redirects of all shards to the router. @returns why another attempt is useless; null: try again */
async function followRedirects(
  router: LineRouter<Line>,
  holds: readonly HeldShard[],
  deadlineMs: DeadlineMs,
): Promise<NotDone | null> {
  for (const { outcome } of holds) {
    const failure = isMisrouted(outcome) ? await router.applyRedirect(outcome, deadlineMs) : null;
    if (failure !== null) return failure;
  }
  return null;
}

/** The outcome of an attempt that is not completely held: the refusals of all shards, or why there is no decision. */
function outcomeOf(lines: readonly Line[], holds: readonly HeldShard[]): Refused | NotDone | Retry {
  const outcomes = holds.map(({ outcome }) => outcome);
  if (outcomes.some(isMisrouted)) return { is: 'retry' };
  const refusals = new Map(
    outcomes
      .flatMap((outcome) => (outcome.is === 'refused' ? outcome.lines : []))
      .map((line) => [flowKeyText(line), line]),
  );
  if (refusals.size > 0) return refusedLines(lines.flatMap((line) => refusals.get(flowKeyText(line)) ?? []));
  const failed = outcomes.find(
    (outcome): outcome is NotDone | OutcomeInDoubt => outcome.is === 'not_done' || outcome.is === 'unknown',
  );
  // A hold with an unknown outcome is undone too, because its cart is not committed.
  if (failed !== undefined) return { is: 'not_done', reason: failed.reason };
  return { is: 'retry' };
}

function decide(
  ports: ServicePorts,
  cart: CartKey,
  decision: 'committed' | 'aborted',
  deadlineMs: DeadlineMs,
): Promise<FoundCartState | NotDone | OutcomeInDoubt> {
  return ports.routing.onOwners<FoundCartState | NotDone | OutcomeInDoubt>((map) =>
    ports.carts.decide(map.shardOf(cart.order_id), cart, decision, deadlineMs),
  );
}
