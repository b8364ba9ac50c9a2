import { homeOf } from '../../core/layout.ts';
import type { Lost } from '../../core/lost.ts';
import type { FlowKey, RowRef, ShardIndex } from '../../core/nouns.ts';
import type { SplitParts } from './lostLayouts.ts';

/**
 * Where an id of a SKU is at home.
 *
 * @returns the shard, with the row where the SKU is split; null: it lies in the middle of a change, or under an earlier home
 */
export function homeIn(
  { routing, splits }: SplitParts,
  { sku_id, order_detail_id }: FlowKey,
): { readonly shard: ShardIndex; readonly row?: RowRef } | null {
  const owner = routing.map.shardOf(sku_id);
  const layout = splits[owner]?.layouts.get(sku_id);
  if (layout === undefined || (layout.state === 'single' && layout.earlier.length === 0)) return { shard: owner };
  if (layout.state !== 'open' || layout.earlier.length > 0) return null;
  const { shard, sub_row } = homeOf(layout.places, order_detail_id);
  return { shard, row: { sub_row, epoch: layout.epoch } };
}

/** What is to be sold again on a shard, out of the row where it was; what is at home elsewhere by now must be judged by people. */
export function atHome(parts: SplitParts, shard: ShardIndex, lost: Lost): Lost {
  const { redo } = lost;
  if (redo?.kind !== 'deduct') return lost;
  const lines = redo.lines.flatMap((line) => {
    const home = homeIn(parts, line);
    return home?.shard === shard ? [home.row === undefined ? line : { ...line, row: home.row }] : [];
  });
  return { ...lost, redo: lines.length < redo.lines.length ? null : { ...redo, lines } };
}
