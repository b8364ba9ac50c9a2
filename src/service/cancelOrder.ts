import { flowKeyText } from '../core/nouns.ts';
import type { DeadlineMs, Flow, FlowKey } from '../core/nouns.ts';
import { refused, refusedLines } from '../core/outcome.ts';
import type { Applied, CancelOutcome, Misplaced, NotDone, Refused, RefusedLine, Unknown } from '../core/outcome.ts';
import { applyOperation } from './applyOperation.ts';
import { findDeductions } from './findDeductions.ts';
import { pastHolds } from './freeHolds.ts';
import { byShard, isMisplaced, onHomes, PAST } from './hot/placing.ts';
import type { Parts } from './parts.ts';

export interface Cancellation {
  readonly order_id: string;
  /** At least one; no key twice. */
  readonly lines: readonly FlowKey[];
}

type Ended = Applied | Refused | NotDone | Unknown;

/**
 * Gives back the rest of an order's lines and blocks those that were not deducted. Each shard does its part by itself;
 * what would be refused is looked for on all of them first, so that a refusal has no effect anywhere.
 */
export async function cancelOrder(parts: Parts, cancellation: Cancellation, deadlineMs: DeadlineMs): Promise<Ended> {
  /** Whether some lines were cancelled in the right place while others were looked for in the wrong one. */
  let hasBegun = false;
  const ended = await onHomes<FlowKey, Ended>(parts, cancellation.lines, deadlineMs, async (placed) => {
    const groups = [...byShard(placed)];
    if (groups.length > 1) {
      const obstacle = await findObstacle(parts, cancellation, deadlineMs);
      if (obstacle !== null) return obstacle;
    }
    // An open cart that comes after the look at all shards is waited for: a part of the lines may be cancelled by then.
    const waitUntilMs = groups.length > 1 ? deadlineMs : 0;
    const outcomes = await Promise.all(
      groups.map(([shard, lines]) =>
        pastHolds<CancelOutcome>(parts, deadlineMs, waitUntilMs, shard, () =>
          applyOperation(parts.engine, shard, { kind: 'cancel', order_id: cancellation.order_id, lines }, deadlineMs),
        ),
      ),
    );
    // Rows may be closed: what comes back there is to be sold from those that are open.
    const closed = new Set(placed.filter(({ row }) => row === PAST).map(({ sku_id }) => sku_id));
    await Promise.all([...closed].map((sku_id) => parts.hot.gatherer.level(sku_id, deadlineMs)));
    const one = together(outcomes);
    hasBegun ||= outcomes.some((outcome) => outcome.is === 'applied' && !outcome.replayed);
    return one;
  });
  if (!hasBegun || ended.is === 'unknown') return ended;
  // What was cancelled at the first try was found as cancelled at the next.
  return ended.is === 'applied' ? { is: 'applied', replayed: false } : { is: 'unknown', reason: `some lines are cancelled, others not: ${ended.is}` };
}

async function findObstacle(parts: Parts, { order_id, lines }: Cancellation, deadlineMs: DeadlineMs): Promise<Refused | NotDone | null> {
  const found = await findDeductions(parts, lines, deadlineMs);
  if (found.is !== 'found') return found;
  const flows = found.deductions.flatMap((deduction) => (deduction === null ? [] : [deduction.flow]));
  const foreign = flows.filter((flow) => flow.order_id !== order_id && flow.status !== 'pending');
  if (foreign.length > 0) {
    const conflicts = new Map(foreign.map((flow): [string, RefusedLine] => [flowKeyText(flow), conflictOf(flow)]));
    return refusedLines(lines.flatMap((line) => conflicts.get(flowKeyText(line)) ?? []));
  }
  return flows.some(({ status }) => status === 'pending') ? refused('pending') : null;
}

/** Nothing of the other order but what was asked for. */
function conflictOf({ sku_id, order_detail_id, quantity }: Flow): RefusedLine {
  return { sku_id, order_detail_id, quantity, code: 'idempotency_conflict' };
}

/** One answer out of those of all shards. */
function together(outcomes: readonly CancelOutcome[]): Ended | Misplaced {
  const applied = outcomes.filter((outcome): outcome is Applied => outcome.is === 'applied');
  const others = outcomes.filter((outcome) => outcome.is !== 'applied');
  if (others.length === 0) return { is: 'applied', replayed: applied.every(({ replayed }) => replayed) };
  const unknown = others.find((outcome): outcome is Unknown => outcome.is === 'unknown');
  if (unknown !== undefined) return unknown;
  // What is cancelled already is so for good; once more, in the right places, cancels the rest.
  const misplaced = others.find(isMisplaced);
  if (misplaced !== undefined) return misplaced;
  // Part of it stands, so this is neither done nor refused; the same lines again finish it.
  if (applied.some(({ replayed }) => !replayed)) return { is: 'unknown', reason: `some lines are cancelled, others not: ${others[0]?.is}` };
  const refusals = others.filter((outcome): outcome is Refused => outcome.is === 'refused');
  const [first] = others;
  const lines = refusals.flatMap((refusal) => refusal.lines);
  if (lines.length > 0) return refusedLines(lines);
  if (refusals[0] !== undefined) return refusals[0];
  if (first?.is === 'pending') return refused('pending');
  return first === undefined || first.is === 'refused' || first.is === 'unknown' ? { is: 'not_done', reason: 'no shard answered' } : first;
}
