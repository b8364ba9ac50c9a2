import { flowKeyText } from '../../core/types.ts';
import type { DeadlineMs, FlowKey } from '../../core/types.ts';
import { REFUSAL_CODES } from '../../core/outcome.ts';
import type { Applied, CancelOutcome, Misrouted, NotDone, RefusalCode, OutcomeInDoubt } from '../../core/outcome.ts';
import { applyJointly, groupsOf } from './applyByGroup.ts';
import type { Cancel, ShardOperation } from '../../core/operation.ts';
import { findDeductions } from './findDeductions.ts';
import { completeBlockingHolds } from '../carts/completeHolds.ts';
import { byShard, isMisrouted, withRouting, EXISTING_IDS_ONLY } from '../routing/lineRouter.ts';
import { lookUpLines } from './lookUpLines.ts';
import type { LineRead } from './lookUpLines.ts';
import type { ServicePorts } from '../servicePorts.ts';

export interface Cancellation {
  readonly order_id: string;
  /** At least one; no key twice. */
  readonly lines: readonly FlowKey[];
}

/** A line of a cancellation that was refused. */
export interface CancelLine extends FlowKey {
  /** The state after the refusal, of any order; `cancelled` also when an earlier attempt cancelled the line. */
  readonly status: 'cancelled' | 'deducted' | 'pending' | 'none' | 'unavailable';
  /** Units of the deduction, if there is one. */
  readonly quantity?: number;
  /** Why the line refused this attempt; absent: it did not. */
  readonly code?: RefusalCode;
}

/** This attempt changed nothing, and never will. */
export interface CancelRefused {
  readonly is: 'refused';
  readonly code: RefusalCode;
  /** Every line of the cancellation, in the order asked. */
  readonly lines: readonly CancelLine[];
}

export type CancelAnswer = Applied | CancelRefused | NotDone | OutcomeInDoubt;

/** Why an attempt that changed nothing is refused. */
interface Objection {
  readonly is: 'refused';
  readonly code: RefusalCode;
  /** The lines that refused it, by `flowKeyText`. */
  readonly codes: ReadonlyMap<string, RefusalCode>;
}

type Ended = Applied | Objection | NotDone | OutcomeInDoubt;

/** The time reserved for reading the states of the lines when an open cart refuses the attempt. */
const STATES_MS = 500;

/**
 * Gives back the rest of an order's lines, and blocks the lines that were not deducted. Shards of one server commit
 * together. With several servers, obstacles are looked for on all of them first, so that a refusal changes nothing on
 * any of them. An attempt that changed only some of the lines is `unknown`: the same lines, sent again, finish it or
 * are refused with their states.
 */
export async function cancelOrder(
  ports: ServicePorts,
  cancellation: Cancellation,
  deadlineMs: DeadlineMs,
): Promise<CancelAnswer> {
  const ended = await cancelOnShards(ports, cancellation, deadlineMs);
  if (ended.is !== 'refused') return ended;
  const reads = await lookUpLines(ports, cancellation.lines, deadlineMs);
  const lines = cancellation.lines.map((key, index) => stateOf(key, reads[index], ended.codes.get(flowKeyText(key))));
  return { is: 'refused', code: ended.code, lines };
}

async function cancelOnShards(ports: ServicePorts, cancellation: Cancellation, deadlineMs: DeadlineMs): Promise<Ended> {
  /** Whether this attempt has cancelled some lines while a shard redirected others. */
  let hasBegun = false;
  const ended = await withRouting<FlowKey, Ended>(ports, cancellation.lines, deadlineMs, async (routed) => {
    const parts = [...byShard(routed)].map(([shard, lines]): ShardOperation<Cancel> => ({
      shard,
      operation: { kind: 'cancel', order_id: cancellation.order_id, lines },
    }));
    const groups = groupsOf(ports.engine, parts, ({ shard }) => shard);
    if (groups.length > 1) {
      const obstacle = await findObstacle(ports, cancellation, deadlineMs);
      if (obstacle !== null) return obstacle;
    }
    // A cart that opens after the check of all servers is waited for: some of the lines may be cancelled already.
    const waitUntilMs = groups.length > 1 ? deadlineMs - STATES_MS : 0;
    const outcomes = await Promise.all(
      groups.map((group) =>
        completeBlockingHolds<CancelOutcome>(ports, deadlineMs, waitUntilMs, group[0]?.shard ?? 0, () =>
          applyJointly(ports.engine, group, deadlineMs),
        ),
      ),
    );
    hasBegun ||= outcomes.some((outcome) => outcome.is === 'applied' && !outcome.replayed);
    // Units that come back to a closed row must move to an open row to be sold.
    const closed = new Set(routed.filter(({ row }) => row === EXISTING_IDS_ONLY).map(({ sku_id }) => sku_id));
    await Promise.all([...closed].map((sku_id) => ports.hot.rebalancer.rebalance(sku_id, deadlineMs)));
    return combined(outcomes);
  });
  if (!hasBegun || ended.is === 'unknown') return ended;
  // Lines that the first try cancelled are replays at the next try.
  if (ended.is === 'applied') return { is: 'applied', replayed: false };
  // Some lines are cancelled, and only the same lines, sent again, can finish the rest.
  return { is: 'unknown', reason: `some lines are cancelled, others not: ${ended.is}` };
}

/** Finds a line that would refuse the attempt on one of several shards. @returns null when there is none */
async function findObstacle(
  ports: ServicePorts,
  { order_id, lines }: Cancellation,
  deadlineMs: DeadlineMs,
): Promise<Objection | NotDone | null> {
  const found = await findDeductions(ports, lines, deadlineMs);
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

/** Combines the outcomes of all shards into one, as if no shard had changed anything. */
function combined(outcomes: readonly CancelOutcome[]): Ended | Misrouted {
  const others = outcomes.filter((outcome) => outcome.is !== 'applied');
  if (others.length === 0)
    return { is: 'applied', replayed: outcomes.every((outcome) => outcome.is === 'applied' && outcome.replayed) };
  const unknown = others.find((outcome): outcome is OutcomeInDoubt => outcome.is === 'unknown');
  if (unknown !== undefined) return unknown;
  // Cancelled lines stay cancelled; the next try, on the right shards, cancels the rest.
  const redirect = others.find(isMisrouted);
  if (redirect !== undefined) return redirect;
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
  // A look-up never returns void flows and pointers as found.
  return { ...line, status: status === 'cancelled' || status === 'pending' ? status : 'deducted', quantity };
}
