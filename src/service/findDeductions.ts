import { flowKeyText } from '../core/nouns.ts';
import type { DeadlineMs, Flow, FlowKey, ShardIndex } from '../core/nouns.ts';
import type { Misplaced, NotDone } from '../core/outcome.ts';
import { freeEach } from './freeHolds.ts';
import { byShard, onHomes } from './hot/placing.ts';
import type { Parts } from './parts.ts';

/** A deduction and where it lies. */
export interface FoundDeduction {
  readonly shard: ShardIndex;
  readonly flow: Flow;
}

export interface FoundDeductions {
  readonly is: 'found';
  /** One entry per key asked for, in their order; null where no deduction stands. */
  readonly deductions: readonly (FoundDeduction | null)[];
}

/**
 * Looks up deductions on whichever shards they are; all of them or no answer. What a cart holds that has been decided is
 * settled first, so a flow is `pending` here only while its cart is open.
 */
export async function findDeductions(parts: Parts, keys: readonly FlowKey[], deadlineMs: DeadlineMs): Promise<FoundDeductions | NotDone> {
  for (;;) {
    const answer = await readAll(parts, keys, deadlineMs);
    const holds = answer.is === 'found' ? answer.deductions.flatMap((found) => (found?.flow.status === 'pending' ? [{ ...found.flow, shard: found.shard }] : [])) : [];
    if (holds.length === 0) return answer;
    const freed = await freeEach(parts, holds, deadlineMs);
    // Of a cart that cannot be asked nobody knows whether it is pending still.
    if (freed.has('unreachable') || performance.now() >= deadlineMs) return { is: 'not_done', reason: 'the record of a cart could not be asked' };
    if (!freed.has('settled')) return answer;
  }
}

function readAll(parts: Parts, keys: readonly FlowKey[], deadlineMs: DeadlineMs): Promise<FoundDeductions | NotDone> {
  return onHomes<FlowKey, FoundDeductions | NotDone>(parts, keys, deadlineMs, async (placed) => {
    const groups = [...byShard(placed)];
    const answers = await Promise.all(groups.map(async ([shard, ofShard]) => ({ shard, answer: await parts.reader.findFlows(shard, ofShard, deadlineMs) })));
    const found = new Map<string, FoundDeduction>();
    let failure: NotDone | Misplaced | null = null;
    for (const { shard, answer } of answers) {
      const flows = answer.is === 'found' ? answer.flows : [];
      if (answer.is !== 'found') failure = answer;
      // An undone hold is no deduction.
      for (const flow of flows) if (flow !== null && flow.status !== 'void') found.set(flowKeyText(flow), { shard, flow });
    }
    return failure ?? { is: 'found', deductions: keys.map((key) => found.get(flowKeyText(key)) ?? null) };
  });
}
