import { flowKeyText } from '../core/nouns.ts';
import type { CartKey, DeadlineMs, Line, ShardIndex, Verdict } from '../core/nouns.ts';
import { refusedLines } from '../core/outcome.ts';
import type { Deducted, DeductedLine, HoldOutcome, NotDone, Refused, Unknown } from '../core/outcome.ts';
import type { CartBegun, CartJudged, CartStands } from '../core/ports.ts';
import { judgeStanding } from '../core/standing.ts';
import type { Shares } from './crowd.ts';
import { findDeductions } from './findDeductions.ts';
import { pastHolds, pause, settleCart } from './freeHolds.ts';
import { applyFunded } from './hot/applyFunded.ts';
import { byShard, isMisplaced, Placing } from './hot/placing.ts';
import type { At } from './hot/placing.ts';
import type { Parts } from './parts.ts';

interface Order {
  readonly order_id: string;
  readonly lines: readonly Line[];
}

/** An attempt that was given up without a verdict; the next one holds one shard after the other. */
interface Again {
  readonly is: 'again';
}

/** Settling goes on when the caller has been answered; what is not done in this time is the sweeper's. */
const SETTLE_MS = 3_000;
/** The pause with empty hands, before the next attempt, drawn evenly up to this. */
const PAUSE_MS_MAX = 100;
/** With less time than this no attempt is begun. */
const ATTEMPT_MS = 600;
/** Of the places for carts: copies of an order would only wait for its record, and a SKU that is locked leaves the rest to others. */
const ORDER_SHARE = 1 / 16;
const SKU_SHARE = 1 / 2;

type Ended = Deducted | Refused | NotDone | Unknown;

/**
 * Sells an order over several shards, all or nothing: a record is written, every shard holds its lines, the record is
 * decided by one compare-and-set, and the holds are settled after the answer. Until the record is committed nothing is
 * sold, and nobody but this function commits it.
 */
export async function sellCart(parts: Parts, order: Order, deadlineMs: DeadlineMs): Promise<Ended> {
  const leave = await parts.cartPlaces.take(sharesOf(order), deadlineMs - 2 * ATTEMPT_MS);
  if (leave === null) return { is: 'not_done', reason: 'too many carts were under way' };
  try {
    return await attemptUntil(parts, order, deadlineMs);
  } finally {
    leave();
  }
}

function sharesOf({ order_id, lines }: Order): Shares {
  // No id has a control character, so an order is never taken for a SKU.
  return new Map([[`order\0${order_id}`, ORDER_SHARE], ...lines.map(({ sku_id }) => [sku_id, SKU_SHARE] as const)]);
}

async function attemptUntil(parts: Parts, order: Order, deadlineMs: DeadlineMs): Promise<Ended> {
  let inTurn = false;
  let force = false;
  const placing = new Placing(parts, order.lines);
  while (performance.now() + ATTEMPT_MS < deadlineMs) {
    const placed = await placing.place(deadlineMs);
    if ('is' in placed) return placed;
    const begun = await parts.routing.onOwners<CartBegun | CartStands | NotDone | Unknown>((map) =>
      parts.carts.begin(map.shardOf(order.order_id), { ...order, lines: placed }, force, deadlineMs),
    );
    // A record that may stand is open, and nobody will commit it.
    if (begun.is === 'unknown') return { is: 'not_done', reason: begun.reason };
    if (begun.is === 'not_done') return begun;
    if (begun.is === 'sold') {
      const replay = await replayOf(parts, order, deadlineMs);
      if (replay !== null) return replay;
      force = true;
    } else if (begun.is === 'begun') {
      const ended = await attempt(
        parts,
        { ...order, lines: placed },
        { begun: begun.attempt, inTurn, placing },
        deadlineMs,
      );
      if (ended.is !== 'again') return ended;
      inTurn = true;
      await pause(Math.random() * PAUSE_MS_MAX);
    } else {
      await pause();
    }
  }
  return { is: 'not_done', reason: 'undecided carts were in the way for the whole time' };
}

/** The answer to an order that was sold before, or null when not all of its lines stand any more. */
async function replayOf(
  parts: Parts,
  { order_id, lines }: Order,
  deadlineMs: DeadlineMs,
): Promise<Deducted | NotDone | null> {
  const found = await findDeductions(parts, lines, deadlineMs);
  if (found.is !== 'found') return found;
  const answered: DeductedLine[] = [];
  for (const [index, line] of lines.entries()) {
    const flow = found.deductions[index]?.flow;
    if (flow?.status !== 'deducted' || judgeStanding({ order_id, attempt: 0 }, line, flow) !== 'replay') return null;
    answered.push({ ...line, replayed: true, returned: flow.returned });
  }
  return { is: 'deducted', lines: answered };
}

interface PlacedOrder extends Order {
  readonly lines: readonly At<Line>[];
}

interface Attempt {
  /** The number of its record. */
  readonly begun: number;
  readonly inTurn: boolean;
  /** Told what was asked in the wrong place. */
  readonly placing: Placing<Line>;
}

/** One attempt from its first hold to its end. */
async function attempt(
  parts: Parts,
  order: PlacedOrder,
  { begun, inTurn, placing }: Attempt,
  deadlineMs: DeadlineMs,
): Promise<Ended | Again> {
  const cart: CartKey = { order_id: order.order_id, attempt: begun };
  const holds = await holdAll(parts, cart, order.lines, inTurn, deadlineMs);
  const fault = holds.find((hold) => hold.fault !== null)?.fault ?? null;
  if (fault !== null) {
    // Nobody foresaw it: what is held goes back, and the caller hears that nobody knows.
    parts.afterwork.add(() => giveUp(parts, cart, holds));
    throw fault;
  }
  const lines = answeredLines(order.lines, holds);
  if (lines === null) {
    const ended = endOf(order.lines, holds);
    const undone = giveUp(parts, cart, holds);
    parts.afterwork.add(() => undone);
    if (ended.is !== 'again') return ended;
    const [failure] = await Promise.all([learnFrom(placing, holds, deadlineMs), orUntil(deadlineMs, undone)]);
    return failure ?? ended;
  }
  if (lines.every(({ replayed }) => replayed)) {
    parts.afterwork.add(() => giveUp(parts, cart, holds));
    return { is: 'deducted', lines };
  }
  const decided = await decide(parts, cart, 'committed', deadlineMs);
  if (decided.is === 'unknown') return decided;
  if (decided.is === 'judged' && decided.state === 'committed') {
    const fresh = new Set(lines.filter(({ replayed }) => !replayed).map(flowKeyText));
    parts.afterwork.add(() =>
      settleUntil(
        parts,
        cart,
        order.lines.filter((line) => fresh.has(flowKeyText(line))),
        'committed',
      ),
    );
    return { is: 'deducted', lines };
  }
  // Not committed, and nobody else commits: another gateway aborted it as too slow, or its shard did not take the verdict.
  const undone = giveUp(parts, cart, holds);
  parts.afterwork.add(() => undone);
  if (decided.is !== 'judged') return decided;
  await orUntil(deadlineMs, undone);
  return { is: 'again' };
}

interface HeldShard {
  readonly lines: readonly At<Line>[];
  readonly outcome: HoldOutcome;
  /** What no code foresaw; the outcome is unknown then. */
  readonly fault: Error | null;
}

/** Holds on all shards at once; or in turn, where whoever waits for a lower shard holds nothing on a higher one. */
async function holdAll(
  parts: Parts,
  cart: CartKey,
  lines: readonly At<Line>[],
  inTurn: boolean,
  deadlineMs: DeadlineMs,
): Promise<HeldShard[]> {
  const groups = [...byShard(lines)].sort(([a], [b]) => a - b);
  const holdOn = async ([shard, ofShard]: readonly [ShardIndex, readonly At<Line>[]]): Promise<HeldShard> => {
    const operation = { kind: 'hold', ...cart, lines: ofShard } as const;
    const waitUntilMs = inTurn ? deadlineMs - ATTEMPT_MS : 0;
    try {
      const outcome = await pastHolds<HoldOutcome>(parts, deadlineMs, waitUntilMs, shard, () =>
        applyFunded(parts, shard, operation, deadlineMs),
      );
      return { lines: ofShard, outcome, fault: null };
    } catch (error) {
      const fault = error instanceof Error ? error : new Error(String(error));
      return { lines: ofShard, outcome: { is: 'unknown', reason: fault.message }, fault };
    }
  };
  if (!inTurn) return Promise.all(groups.map(holdOn));
  const held: HeldShard[] = [];
  for (const group of groups) {
    const last = await holdOn(group);
    held.push(last);
    // The codes of refusals have an order of their own, so the other shards are asked too.
    if (last.outcome.is !== 'held' && last.outcome.is !== 'refused') break;
  }
  return held;
}

/** The lines of a cart that is held as a whole, in the order asked; null when it is not. */
function answeredLines(lines: readonly Line[], holds: readonly HeldShard[]): DeductedLine[] | null {
  const held = new Map(
    holds
      .flatMap(({ outcome }) => (outcome.is === 'held' ? outcome.lines : []))
      .map((line) => [flowKeyText(line), line]),
  );
  const answered = lines.flatMap((line) => held.get(flowKeyText(line)) ?? []);
  return answered.length === lines.length ? answered : null;
}

/** Aborts the record and undoes what is held, or may be. A shard that did not do what it was asked holds nothing. */
async function giveUp(parts: Parts, cart: CartKey, holds: readonly HeldShard[]): Promise<void> {
  const held = holds.flatMap(({ lines, outcome }) => {
    if (outcome.is === 'held') return lines.filter((_, place) => outcome.lines[place]?.replayed === false);
    return outcome.is === 'unknown' ? lines : [];
  });
  // At once: whatever becomes of the record, nobody but this coordinator could have committed it.
  const decided = decide(parts, cart, 'aborted', performance.now() + SETTLE_MS);
  await Promise.all([decided, held.length > 0 ? settleUntil(parts, cart, held, 'aborted') : null]);
}

/** Carries a verdict out, again and again where a shard does not take it; in the end it is the sweeper's. */
async function settleUntil(parts: Parts, cart: CartKey, lines: readonly At<Line>[], verdict: Verdict): Promise<void> {
  const deadlineMs = performance.now() + SETTLE_MS;
  while (!(await settleCart(parts, cart, lines, verdict, deadlineMs)) && performance.now() < deadlineMs) await pause();
}

/** Waits for something that goes on, but no longer than the caller does. */
async function orUntil(deadlineMs: DeadlineMs, work: Promise<unknown>): Promise<void> {
  await Promise.race([work, pause(Math.max(0, deadlineMs - performance.now()))]);
}

/** What was held in the wrong place is to be found. @returns why it is no use to try again, or null */
async function learnFrom(
  placing: Placing<Line>,
  holds: readonly HeldShard[],
  deadlineMs: DeadlineMs,
): Promise<NotDone | null> {
  for (const { outcome } of holds) {
    const failure = isMisplaced(outcome) ? await placing.learn(outcome, deadlineMs) : null;
    if (failure !== null) return failure;
  }
  return null;
}

/** What an attempt that was not held as a whole says: what was refused on all shards, else why there is no verdict. */
function endOf(lines: readonly Line[], holds: readonly HeldShard[]): Refused | NotDone | Again {
  const outcomes = holds.map(({ outcome }) => outcome);
  if (outcomes.some(isMisplaced)) return { is: 'again' };
  const refusals = new Map(
    outcomes
      .flatMap((outcome) => (outcome.is === 'refused' ? outcome.lines : []))
      .map((line) => [flowKeyText(line), line]),
  );
  if (refusals.size > 0) return refusedLines(lines.flatMap((line) => refusals.get(flowKeyText(line)) ?? []));
  const failed = outcomes.find(
    (outcome): outcome is NotDone | Unknown => outcome.is === 'not_done' || outcome.is === 'unknown',
  );
  // Whatever a hold that may stand took, its cart is not committed: it is undone.
  if (failed !== undefined) return { is: 'not_done', reason: failed.reason };
  return { is: 'again' };
}

function decide(
  parts: Parts,
  cart: CartKey,
  verdict: 'committed' | 'aborted',
  deadlineMs: DeadlineMs,
): Promise<CartJudged | NotDone | Unknown> {
  return parts.routing.onOwners<CartJudged | NotDone | Unknown>((map) =>
    parts.carts.decide(map.shardOf(cart.order_id), cart, verdict, deadlineMs),
  );
}
