import { flowKeyText } from '../core/nouns.ts';
import type { DeadlineMs, FlowKey } from '../core/nouns.ts';
import { REFUSAL_CODES } from '../core/outcome.ts';
import type { Applied, CancelOutcome, Misplaced, NotDone, RefusalCode, Unknown } from '../core/outcome.ts';
import { applyOperation } from './applyOperation.ts';
import { findDeductions } from './findDeductions.ts';
import { pastHolds } from './freeHolds.ts';
import { byShard, isMisplaced, onHomes, PAST } from './hot/placing.ts';
import { lookUpLines } from './lookUpLines.ts';
import type { LineRead } from './lookUpLines.ts';
import type { Parts } from './parts.ts';

export interface Cancellation {
  readonly order_id: string;
  /** At least one; no key twice. */
  readonly lines: readonly FlowKey[];
}

/** A line of a cancellation that was refused. */
export interface CancelLine extends FlowKey {
  /** Its state after the refusal, of whichever order; `cancelled` also when an earlier attempt did it. */
  readonly status: 'cancelled' | 'deducted' | 'pending' | 'none' | 'unavailable';
  /** Units of the deduction, where one stands. */
  readonly quantity?: number;
  /** Why it refused this attempt; absent: it did not. */
  readonly code?: RefusalCode;
}

/** This attempt changed nothing, and will change nothing. */
export interface CancelRefused {
  readonly is: 'refused';
  readonly code: RefusalCode;
  /** Every line of the cancellation, in the order asked. */
  readonly lines: readonly CancelLine[];
}

export type CancelAnswer = Applied | CancelRefused | NotDone | Unknown;

/** Why an attempt that changed nothing is refused. */
interface Objection {
  readonly is: 'refused';
  readonly code: RefusalCode;
  /** The lines that refused it, by `flowKeyText`. */
  readonly codes: ReadonlyMap<string, RefusalCode>;
}

type Ended = Applied | Objection | NotDone | Unknown;

/** Kept of the time for reading the states of the lines when an open cart refuses the attempt. */
const STATES_MS = 500;

/**
 * Gives back the rest of an order's lines and blocks those that were not deducted. Each shard does its part by itself;
 * obstacles are looked for on all of them first, so that a refusal changes nothing anywhere. An attempt that changed some
 * lines and not the others is `unknown`: the same lines again finish it, or are refused with their states.
 */
export async function cancelOrder(
  parts: Parts,
  cancellation: Cancellation,
  deadlineMs: DeadlineMs,
): Promise<CancelAnswer> {
  const ended = await cancelParts(parts, cancellation, deadlineMs);
  if (ended.is !== 'refused') return ended;
  const reads = await lookUpLines(parts, cancellation.lines, deadlineMs);
  const lines = cancellation.lines.map((key, place) => stateOf(key, reads[place], ended.codes.get(flowKeyText(key))));
  return { is: 'refused', code: ended.code, lines };
}

async function cancelParts(parts: Parts, cancellation: Cancellation, deadlineMs: DeadlineMs): Promise<Ended> {
  /** Whether this attempt has cancelled some lines, while others were looked for in the wrong place. */
  let hasBegun = false;
  const ended = await onHomes<FlowKey, Ended>(parts, cancellation.lines, deadlineMs, async (placed) => {
    const groups = [...byShard(placed)];
    if (groups.length > 1) {
      const obstacle = await findObstacle(parts, cancellation, deadlineMs);
      if (obstacle !== null) return obstacle;
    }
    // An open cart that comes after the look at all shards is waited for: a part of the lines may be cancelled by then.
    const waitUntilMs = groups.length > 1 ? deadlineMs - STATES_MS : 0;
    const outcomes = await Promise.all(
      groups.map(([shard, lines]) =>
        pastHolds<CancelOutcome>(parts, deadlineMs, waitUntilMs, shard, () =>
          applyOperation(parts.engine, shard, { kind: 'cancel', order_id: cancellation.order_id, lines }, deadlineMs),
        ),
      ),
    );
    hasBegun ||= outcomes.some((outcome) => outcome.is === 'applied' && !outcome.replayed);
    // Rows may be closed: what comes back there is to be sold from those that are open.
    const closed = new Set(placed.filter(({ row }) => row === PAST).map(({ sku_id }) => sku_id));
    await Promise.all([...closed].map((sku_id) => parts.hot.gatherer.level(sku_id, deadlineMs)));
    return together(outcomes);
  });
  if (!hasBegun || ended.is === 'unknown') return ended;
  // What was cancelled at the first try was found as cancelled at the next.
  if (ended.is === 'applied') return { is: 'applied', replayed: false };
  // Neither done nor refused: a part stands, and only the same lines again can finish it.
  return { is: 'unknown', reason: `some lines are cancelled, others not: ${ended.is}` };
}

/** @returns what would refuse the attempt on one of several shards, or null */
async function findObstacle(
  parts: Parts,
  { order_id, lines }: Cancellation,
  deadlineMs: DeadlineMs,
): Promise<Objection | NotDone | null> {
  const found = await findDeductions(parts, lines, deadlineMs);
  if (found.is !== 'found') return found;
  const codes = new Map<string, RefusalCode>();
  for (const deduction of found.deductions) {
    if (deduction === null) continue;
    const { flow } = deduction;
    if (flow.status === 'pending') codes.set(flowKeyText(flow), 'pending');
    else if (flow.order_id !== order_id) codes.set(flowKeyText(flow), 'idempotency_conflict');
  }
  return codes.size === 0 ? null : objection(codes, [...codes.values()]);
}

/** One answer out of those of all shards, as if none of them had changed anything. */
function together(outcomes: readonly CancelOutcome[]): Ended | Misplaced {
  const others = outcomes.filter((outcome) => outcome.is !== 'applied');
  if (others.length === 0)
    return { is: 'applied', replayed: outcomes.every((outcome) => outcome.is === 'applied' && outcome.replayed) };
  const unknown = others.find((outcome): outcome is Unknown => outcome.is === 'unknown');
  if (unknown !== undefined) return unknown;
  // Cancelled lines stay cancelled; the next try, in the right places, cancels the rest.
  const misplaced = others.find(isMisplaced);
  if (misplaced !== undefined) return misplaced;
  const codes = new Map<string, RefusalCode>();
  const reasons: RefusalCode[] = [];
  for (const outcome of others) {
    if (outcome.is === 'pending') {
      reasons.push('pending');
      for (const hold of outcome.holds) codes.set(flowKeyText(hold), 'pending');
    } else if (outcome.is === 'refused') {
      reasons.push(outcome.code);
      for (const line of outcome.lines) codes.set(flowKeyText(line), line.code);
    }
  }
  if (reasons.length > 0) return objection(codes, reasons);
  const failed = others.find((outcome): outcome is NotDone => outcome.is === 'not_done');
  return failed ?? { is: 'not_done', reason: 'no shard answered' };
}

/** @param reasons at least one */
function objection(codes: ReadonlyMap<string, RefusalCode>, reasons: readonly RefusalCode[]): Objection {
  const code = REFUSAL_CODES.find((candidate) => reasons.includes(candidate));
  if (code === undefined) throw new Error('a refusal needs a reason');
  return { is: 'refused', code, codes };
}

function stateOf(
  { sku_id, order_detail_id }: FlowKey,
  read: LineRead | undefined,
  code: RefusalCode | undefined,
): CancelLine {
  const line = { order_detail_id, sku_id, ...(code === undefined ? {} : { code }) };
  if (read?.is !== 'found') return { ...line, status: read?.is ?? 'unavailable' };
  const { status, quantity } = read.flow;
  // Undone holds and pointers are never reported as found.
  return { ...line, status: status === 'cancelled' || status === 'pending' ? status : 'deducted', quantity };
}
