import type { DeadlineMs, RowPlace } from '../core/nouns.ts';
import type { NotDone } from '../core/outcome.ts';
import { collectWhole } from './hot/collect.ts';
import type { Parts } from './parts.ts';

/** What is left of a SKU, and where. */
export interface SkuStock {
  readonly is: 'found';
  readonly mode: 'single' | 'hot';
  readonly leaved_amount: number;
  /** Those that take orders; none for an unknown SKU. */
  readonly rows: readonly (RowPlace & { readonly leaved_amount: number })[];
}

/** Reads what is left of a SKU from its primaries. Of a split one the rows are read side by side while it sells. */
export async function readSku(parts: Pick<Parts, 'routing' | 'reader' | 'hot'>, sku_id: string, deadlineMs: DeadlineMs): Promise<SkuStock | NotDone> {
  const answer = await parts.routing.onOwners(async (map) => {
    const shard = map.shardOf(sku_id);
    const read = await parts.reader.readStock(shard, sku_id, deadlineMs);
    return read.is === 'found' ? { ...read, shard } : read;
  });
  if (answer.is !== 'found') return answer;
  const { shard, rows } = answer;
  if (rows.some(({ isSplit }) => isSplit)) return readSplit(parts, sku_id, deadlineMs);
  return {
    is: 'found',
    mode: 'single',
    leaved_amount: rows.reduce((sum, row) => sum + row.leaved_amount, 0),
    rows: rows.map(({ sub_row, leaved_amount }) => ({ shard, sub_row, leaved_amount })),
  };
}

async function readSplit({ hot }: Pick<Parts, 'hot'>, sku_id: string, deadlineMs: DeadlineMs): Promise<SkuStock | NotDone> {
  const loaded = await hot.layouts.loadUsable(sku_id, deadlineMs);
  if (loaded.is === 'not_done') return loaded;
  const { layout } = loaded;
  if (layout === null) return { is: 'not_done', reason: 'a row is split and has no layout' };
  const state = await collectWhole(hot, layout, deadlineMs);
  if (state.fault !== null) return { is: 'not_done', reason: state.fault };
  const inPlace = state.rows.filter(({ sub_row, shard }) => layout.places[sub_row] === shard).sort((a, b) => a.sub_row - b.sub_row);
  return {
    is: 'found',
    mode: layout.places.length > 1 ? 'hot' : 'single',
    leaved_amount: state.leaved,
    rows: inPlace.map(({ shard, sub_row, leaved_amount }) => ({ shard, sub_row, leaved_amount })),
  };
}
