import type { DeadlineMs, RowPlace } from '../core/nouns.ts';
import type { NotDone } from '../core/outcome.ts';
import { pause } from './freeHolds.ts';
import { isCurrent } from './hot/collect.ts';
import { readWholeStock } from './hot/wholeStock.ts';
import type { Parts } from './parts.ts';

/** What is left of a SKU, and where. */
export interface SkuStock {
  readonly is: 'found';
  readonly mode: 'single' | 'hot';
  readonly leaved_amount: number;
  /** Those that take orders; none for an unknown SKU. */
  readonly rows: readonly (RowPlace & { readonly leaved_amount: number })[];
}

const PAUSE_MS = 10;

/** Reads what is left of a SKU from its primaries. Of a split one the rows are read side by side while it sells. */
export async function readSku(parts: Pick<Parts, 'routing' | 'reader' | 'hot'>, sku_id: string, deadlineMs: DeadlineMs): Promise<SkuStock | NotDone> {
  const answer = await parts.routing.onOwners(async (map) => {
    const shard = map.shardOf(sku_id);
    const read = await parts.reader.readStock(shard, sku_id, deadlineMs);
    return read.is === 'found' ? { ...read, shard } : read;
  });
  if (answer.is !== 'found') return answer;
  const { shard, rows } = answer;
  const split = rows.some(({ isSplit }) => isSplit) ? await readSplit(parts, sku_id, deadlineMs) : null;
  // Rows that were made for a layout that never came are empty.
  const single = rows.filter(({ sub_row }) => sub_row === 0).map(({ sub_row, leaved_amount }) => ({ shard, sub_row, leaved_amount }));
  return split ?? { is: 'found', mode: 'single', leaved_amount: single[0]?.leaved_amount ?? 0, rows: single };
}

/** @returns null when it has no layout */
async function readSplit({ hot }: Pick<Parts, 'hot'>, sku_id: string, deadlineMs: DeadlineMs): Promise<SkuStock | NotDone | null> {
  const loaded = await hot.layouts.loadUsable(sku_id, deadlineMs);
  if (loaded.is === 'not_done') return loaded;
  const { layout } = loaded;
  if (layout === null) return null;
  const state = await readWholeStock(hot, layout, deadlineMs);
  if ('is' in state) return state;
  // Laid out otherwise meanwhile.
  if (state.fault === null && !isCurrent(layout, state) && performance.now() < deadlineMs) {
    await pause(PAUSE_MS);
    return readSplit({ hot }, sku_id, deadlineMs);
  }
  if (state.fault !== null) return { is: 'not_done', reason: state.fault };
  const inPlace = state.rows.filter(({ sub_row, shard }) => layout.places[sub_row] === shard).sort((a, b) => a.sub_row - b.sub_row);
  return {
    is: 'found',
    mode: layout.places.length > 1 ? 'hot' : 'single',
    leaved_amount: state.leaved,
    rows: inPlace.map(({ shard, sub_row, leaved_amount }) => ({ shard, sub_row, leaved_amount })),
  };
}
