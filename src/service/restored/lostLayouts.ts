import type { Lost, SplitRow, Splits } from '../../core/lost.ts';
import type { ShardIndex } from '../../core/nouns.ts';
import type { Routing } from '../routing.ts';

export interface SplitParts {
  readonly routing: Routing;
  readonly splits: readonly Splits[];
}

/**
 * Split SKUs whose rows on a restored shard, and whose layout, do not fit together: one of the two is older. So are those whose layout was
 * changed since, though it is as before: pointers may have been written meanwhile.
 *
 * @param other whose rows and layouts are held against those of the restored one
 * @param sinceMs when the backup was made, or before it, in milliseconds since 1970
 */
export function lostLayouts(
  { routing, splits }: SplitParts,
  restored: ShardIndex,
  other: ShardIndex,
  sinceMs: number,
  toldBy: string,
): Lost[] {
  const [own, others] = [splits[restored], splits[other]];
  if (own === undefined || others === undefined) return [];
  const lost = new Map<string, number>();
  const note = (sku_id: string, epoch: number): void => void lost.set(sku_id, Math.max(epoch, lost.get(sku_id) ?? 0));
  // Rows elsewhere, in a layout that its owner does not know of any more.
  for (const { sku_id, epoch } of others.rows) {
    if (routing.map.shardOf(sku_id) === restored && epoch > (own.layouts.get(sku_id)?.lastEpoch ?? 0))
      note(sku_id, epoch);
  }
  // Rows here that are not in the layout that stands.
  for (const { sku_id, sub_row, epoch, isOpen } of own.rows) {
    const layout = others.layouts.get(sku_id);
    if (layout !== undefined && isOpen && (layout.epoch !== epoch || layout.places[sub_row] !== restored))
      note(sku_id, layout.lastEpoch);
  }
  const standing = new Set(own.rows.filter(({ isOpen }) => isOpen).map(rowText));
  for (const [sku_id, { state, epoch, lastEpoch, places, shards, changedAtMs }] of others.layouts) {
    if (changedAtMs >= sinceMs && shards.includes(restored)) note(sku_id, lastEpoch);
    if (state === 'single') continue;
    places.forEach((shard, sub_row) => {
      if (shard === restored && !standing.has(rowText({ sku_id, sub_row, epoch }))) note(sku_id, lastEpoch);
    });
  }
  return [...lost].map(([sku_id, epoch]): Lost => ({
    kind: 'layout',
    toldBy,
    sku_id,
    order_id: null,
    order_detail_id: null,
    id: String(epoch),
    quantity: null,
    redo: null,
  }));
}

function rowText({ sku_id, sub_row, epoch }: Pick<SplitRow, 'sku_id' | 'sub_row' | 'epoch'>): string {
  return `${sub_row}\0${epoch}\0${sku_id}`;
}
