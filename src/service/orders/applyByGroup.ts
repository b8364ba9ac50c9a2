import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { JointOperation, ShardOperation } from '../../core/operation.ts';
import type { OutcomeOf } from '../../core/outcome.ts';
import type { StockEngine } from '../../core/ports/stockEngine.ts';
import { byShard } from '../routing/lineRouter.ts';
import { applyOperation } from './applyOperation.ts';

/**
 * Applies an operation to lines on several shards: jointly on the shards of one group, and at the same time on all
 * groups.
 *
 * @param operationOf the part of the operation for the lines of one shard
 * @returns one outcome for each group
 */
export function applyByGroup<L extends { readonly shard: ShardIndex }, O extends JointOperation>(
  engine: StockEngine,
  lines: readonly L[],
  operationOf: (ofShard: readonly L[]) => O,
  deadlineMs: DeadlineMs,
): Promise<OutcomeOf<O>[]> {
  const parts = [...byShard(lines)].map(([shard, ofShard]) => ({ shard, operation: operationOf(ofShard) }));
  return Promise.all(
    groupsOf(engine, parts, ({ shard }) => shard).map((group) => applyJointly(engine, group, deadlineMs)),
  );
}

/** Applies the parts of an operation on the shards of one group. @param parts at least one */
export function applyJointly<O extends JointOperation>(
  engine: StockEngine,
  parts: readonly ShardOperation<O>[],
  deadlineMs: DeadlineMs,
): Promise<OutcomeOf<O>> {
  const [only] = parts;
  const isAlone =
    parts.length === 1 &&
    only !== undefined &&
    (only.operation.kind !== 'deduct' || only.operation.record === undefined);
  return isAlone
    ? applyOperation(engine, only.shard, only.operation, deadlineMs)
    : engine.applyJointly(parts, deadlineMs);
}

/** Groups items by the shards that commit together. A shard that commits alone is a group of its own. */
export function groupsOf<T>(
  engine: Pick<StockEngine, 'groupOf'>,
  items: readonly T[],
  shardOf: (item: T) => ShardIndex,
): T[][] {
  const groups = new Map<string | ShardIndex, T[]>();
  for (const item of items) {
    const shard = shardOf(item);
    const key = engine.groupOf(shard) ?? shard;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}
