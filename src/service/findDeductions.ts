import { flowKeyText } from '../core/nouns.ts';
import type { DeadlineMs, Flow, FlowKey, ShardIndex } from '../core/nouns.ts';
import type { NotDone, NotMine } from '../core/outcome.ts';
import { groupByShard } from '../core/plan.ts';
import type { StockReader } from '../core/ports.ts';
import type { Routing } from './routing.ts';

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

/** Looks up deductions on whichever shards they are; all of them or no answer. */
export function findDeductions(
  parts: { readonly routing: Routing; readonly reader: StockReader },
  keys: readonly FlowKey[],
  deadlineMs: DeadlineMs,
): Promise<FoundDeductions | NotDone> {
  return parts.routing.onOwners<FoundDeductions | NotDone>(async (map) => {
    const groups = [...groupByShard(keys, map)];
    const answers = await Promise.all(
      groups.map(async ([shard, ofShard]) => ({ shard, answer: await parts.reader.findFlows(shard, ofShard, deadlineMs) })),
    );
    const found = new Map<string, FoundDeduction>();
    let failure: NotDone | NotMine | null = null;
    for (const { shard, answer } of answers) {
      const flows = answer.is === 'found' ? answer.flows : [];
      if (answer.is !== 'found') failure = answer;
      for (const flow of flows) if (flow !== null) found.set(flowKeyText(flow), { shard, flow });
    }
    return failure ?? { is: 'found', deductions: keys.map((key) => found.get(flowKeyText(key)) ?? null) };
  });
}
