import type { JointOperation } from '../operation.ts';
import { refusedLines } from '../outcome.ts';
import type { Applied, Deducted, Held, RefusedLine } from '../outcome.ts';
import type { Hold } from '../types.ts';
import { completeLines } from './decide.ts';
import type { Decision } from './decide.ts';
import { enterCancellation, judgeCancellation } from './decideCancellation.ts';
import type { CancellationPlan } from './decideCancellation.ts';
import { DEFERRED, enterDeduction, judgeDeduction } from './decideDeduction.ts';
import type { DeductionPlan, Obstacle } from './decideDeduction.ts';
import type { Ledger } from './ledger.ts';

/** One part of an operation over several shards, and the ledger of its shard. */
export interface LedgerPart {
  readonly ledger: Ledger;
  readonly operation: JointOperation;
}

/**
 * Decides an operation over several shards: all its parts are entered in the ledgers of their shards, or none. All
 * parts are judged first, so a refusal names the refused lines of all of them.
 *
 * @param parts at least one, all of one kind, each with another ledger
 */
export function decideJointly(parts: readonly LedgerPart[]): Decision {
  const plans: (DeductionPlan | CancellationPlan | null)[] = [];
  const obstacles: Obstacle[] = [];
  for (const part of parts) {
    const judged = judge(part);
    if (judged === null || judged.is === 'clear') plans.push(judged);
    else obstacles.push(judged);
  }
  if (obstacles.length > 0) return combined(parts, obstacles);
  const entered = parts.map((part, index) => enter(part, plans[index] ?? null));
  const [first] = entered;
  if (first === undefined) throw new Error('an operation over several shards has at least one part');
  if (first.is === 'applied') return allApplied(entered);
  const lines = entered.flatMap(linesOf);
  if (first.is === 'deducted') enterRecord(parts, lines);
  return { is: first.is, lines };
}

/** @returns null for a completion, which nothing prevents */
function judge({ ledger, operation }: LedgerPart): DeductionPlan | CancellationPlan | Obstacle | null {
  if (operation.kind === 'settle') return null;
  return operation.kind === 'cancel' ? judgeCancellation(ledger, operation) : judgeDeduction(ledger, operation);
}

function enter({ ledger, operation }: LedgerPart, plan: DeductionPlan | CancellationPlan | null) {
  if (operation.kind === 'settle') return completeLines(ledger, operation);
  if (operation.kind === 'cancel') return enterCancellation(ledger, operation, plan as CancellationPlan);
  return enterDeduction(ledger, operation, plan as DeductionPlan);
}

function allApplied(entered: readonly (Applied | Deducted | Held)[]): Applied {
  return { is: 'applied', replayed: entered.every((part) => part.is === 'applied' && part.replayed) };
}

function linesOf(part: Applied | Deducted | Held): Deducted['lines'] {
  return part.is === 'applied' ? [] : part.lines;
}

/** An order whose lines are all replays changes nothing, and needs no record. */
function enterRecord(parts: readonly LedgerPart[], lines: Deducted['lines']): void {
  for (const { ledger, operation } of parts) {
    if (operation.kind !== 'deduct' || operation.record === undefined || operation.transaction === undefined) continue;
    if (operation.isDecision !== true && lines.every(({ replayed }) => replayed)) continue;
    ledger.addRecord({ ...operation.transaction, order_id: operation.order_id, lines: operation.record });
  }
}

/** The obstacles of all parts as one. The order of the cases is that of the lines of one part. */
function combined(parts: readonly LedgerPart[], obstacles: readonly Obstacle[]): Decision {
  // The refusal must name the lines of all parts, so it must not rest on a guess about any of them.
  if (obstacles.some(({ is }) => is === 'deferred') || !parts.every(wasRead)) return DEFERRED;
  const pointers = obstacles.flatMap((each) => (each.is === 'elsewhere' ? each.flows : []));
  if (pointers.length > 0) return { is: 'elsewhere', flows: pointers };
  const stale = obstacles.flatMap((each) => (each.is === 'moved' ? each.sku_ids : []));
  if (stale.length > 0) return { is: 'moved', sku_ids: stale };
  const failed = obstacles.find((each) => each.is === 'not_done');
  if (failed !== undefined) return failed;
  const refusals = obstacles.filter((each) => each.is === 'refused');
  const lines = refusals.flatMap((each): readonly RefusedLine[] => each.lines);
  if (lines.length > 0) return refusedLines(lines);
  const [refusal] = refusals;
  if (refusal !== undefined) return refusal;
  const holds = obstacles.flatMap((each): readonly Hold[] => (each.is === 'pending' ? each.holds : []));
  if (holds.length > 0) return { is: 'pending', holds };
  return { is: 'lacking', sku_ids: obstacles.flatMap((each) => (each.is === 'lacking' ? each.sku_ids : [])) };
}

function wasRead({ ledger, operation: { lines } }: LedgerPart): boolean {
  return lines.every((line) => ledger.wasRead(line));
}
