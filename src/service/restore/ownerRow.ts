import { rowOfId } from '../../core/hot/layout.ts';
import type { MissingRecord } from '../../core/restore/missingRecord.ts';
import type { FlowKey, RowRef, ShardIndex } from '../../core/types.ts';
import type { SplitPorts } from './missingLayouts.ts';

/**
 * Finds the shard that owns an id, and the sub-row if the SKU is split.
 *
 * @returns null while the layout changes, or while the id may still be on the shard of an earlier layout
 */
export function findOwner(
  { routing, splits }: SplitPorts,
  { sku_id, order_detail_id }: FlowKey,
): { readonly shard: ShardIndex; readonly row?: RowRef } | null {
  const owner = routing.map.shardOf(sku_id);
  const layout = splits[owner]?.layouts.get(sku_id);
  if (layout === undefined || (layout.state === 'single' && layout.earlierPlacements.length === 0))
    return { shard: owner };
  if (layout.state !== 'open' || layout.earlierPlacements.length > 0) return null;
  const { shard, sub_row } = rowOfId(layout.placement, order_detail_id);
  return { shard, row: { sub_row, epoch: layout.epoch } };
}

/**
 * Adds the sub-row to the lines of a missing deduction, which is to be done again on a shard. If another shard owns one
 * of the lines now, the result has no `redo`: an operator must decide.
 */
export function withOwnerRow(ports: SplitPorts, shard: ShardIndex, lost: MissingRecord): MissingRecord {
  const { redo } = lost;
  if (redo?.kind !== 'deduct') return lost;
  const lines = redo.lines.flatMap((line) => {
    const owner = findOwner(ports, line);
    return owner?.shard === shard ? [owner.row === undefined ? line : { ...line, row: owner.row }] : [];
  });
  return { ...lost, redo: lines.length < redo.lines.length ? null : { ...redo, lines } };
}
