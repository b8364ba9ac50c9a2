import type { MissingRecord } from '../../core/restore/missingRecord.ts';
import type { SplitRow, SplitSkus } from '../../core/restore/splitSkus.ts';
import type { ShardIndex } from '../../core/types.ts';
import type { Routing } from '../routing/routing.ts';

export interface SplitPorts {
  readonly routing: Routing;
  readonly splits: readonly SplitSkus[];
}

/**
 * Finds split SKUs whose rows and layout contradict each other on a restored shard, because one of the two is older. It
 * also finds SKUs whose layout was changed since the backup, even back to the same rows: pointers may have been written
 * meanwhile.
 *
 * @param other the shard whose rows and layouts are compared with those of the restored shard
 * @param sinceMs the time of the backup, or a moment before it, in milliseconds since 1970
 */
export function missingLayouts(
  { routing, splits }: SplitPorts,
  restored: ShardIndex,
  other: ShardIndex,
  sinceMs: number,
  toldBy: string,
): MissingRecord[] {
  const [own, others] = [splits[restored], splits[other]];
  if (own === undefined || others === undefined) return [];
  const lost = new Map<string, number>();
  const note = (sku_id: string, epoch: number): void => void lost.set(sku_id, Math.max(epoch, lost.get(sku_id) ?? 0));
  // Rows on the other shard, in a layout that the restored owner no longer has.
  for (const { sku_id, epoch } of others.rows) {
    if (routing.map.shardOf(sku_id) === restored && epoch > (own.layouts.get(sku_id)?.lastEpoch ?? 0))
      note(sku_id, epoch);
  }
  // Open rows on the restored shard that do not belong to the present layout.
  for (const { sku_id, sub_row, epoch, isOpen } of own.rows) {
    const layout = others.layouts.get(sku_id);
    if (layout !== undefined && isOpen && (layout.epoch !== epoch || layout.placement[sub_row] !== restored))
      note(sku_id, layout.lastEpoch);
  }
  const openRows = new Set(own.rows.filter(({ isOpen }) => isOpen).map(rowText));
  for (const [sku_id, { state, epoch, lastEpoch, placement, shards, changedAtMs }] of others.layouts) {
    if (changedAtMs >= sinceMs && shards.includes(restored)) note(sku_id, lastEpoch);
    if (state === 'single') continue;
    placement.forEach((shard, sub_row) => {
      if (shard === restored && !openRows.has(rowText({ sku_id, sub_row, epoch }))) note(sku_id, lastEpoch);
    });
  }
  return [...lost].map(([sku_id, epoch]): MissingRecord => ({
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
