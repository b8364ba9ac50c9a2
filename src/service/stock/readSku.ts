import type { DeadlineMs, RowPlace, Sale } from '../../core/types.ts';
import type { NotDone } from '../../core/outcome.ts';
import { pause } from '../../core/async/pause.ts';
import { areAllRowsOpenIn } from '../hot/readAllRows.ts';
import { readWholeStock } from '../hot/readWholeStock.ts';
import type { ServicePorts } from '../servicePorts.ts';

/** The units left of a SKU, by row, and whether it is on sale. */
export interface SkuStock {
  readonly is: 'found';
  readonly mode: 'single' | 'hot';
  /** Units in all rows: those in `rows` and those in transit. */
  readonly leaved_amount: number;
  /** The rows that take orders; none for an unknown SKU. */
  readonly rows: readonly (RowPlace & { readonly leaved_amount: number })[];
  /** Units in rows of an earlier layout, which take no orders and are being emptied. */
  readonly in_transit: number;
  /** Null for an unknown SKU. */
  readonly sale: Sale | null;
}

/** The stock of a SKU by its rows. */
type RowStock = Omit<SkuStock, 'sale'>;

const PAUSE_MS = 10;

/**
 * Reads the units left of a SKU from its primaries. The rows of a split SKU are read one beside the other while it
 * sells.
 */
export async function readSku(
  ports: Pick<ServicePorts, 'routing' | 'reader' | 'hot'>,
  sku_id: string,
  deadlineMs: DeadlineMs,
): Promise<SkuStock | NotDone> {
  const answer = await ports.routing.onOwners(async (map) => {
    const shard = map.shardOf(sku_id);
    const read = await ports.reader.readStock(shard, sku_id, deadlineMs);
    return read.is === 'found' ? { ...read, shard } : read;
  });
  if (answer.is !== 'found') return answer;
  const { shard, rows, sale } = answer;
  const split = rows.some(({ isSplit }) => isSplit) ? await readSplit(ports, sku_id, deadlineMs) : null;
  if (split?.is === 'not_done') return split;
  // The other rows were made for a layout that was given up, and are empty.
  const single = rows
    .filter(({ sub_row }) => sub_row === 0)
    .map(({ sub_row, leaved_amount }) => ({ shard, sub_row, leaved_amount }));
  const leaved_amount = single[0]?.leaved_amount ?? 0;
  return { ...(split ?? { is: 'found', mode: 'single', leaved_amount, rows: single, in_transit: 0 }), sale };
}

/** Reads the stock of a split SKU. @returns null when it has no layout */
async function readSplit(
  { hot }: Pick<ServicePorts, 'hot'>,
  sku_id: string,
  deadlineMs: DeadlineMs,
): Promise<RowStock | NotDone | null> {
  const loaded = await hot.layouts.loadUsable(sku_id, deadlineMs);
  if (loaded.is === 'not_done') return loaded;
  const { layout } = loaded;
  if (layout === null) return null;
  const state = await readWholeStock(hot, layout, deadlineMs);
  if ('is' in state) return state;
  if (state.fault !== null) return { is: 'not_done', reason: state.fault };
  // The layout changed during the read: units may be in rows that were not read.
  if (!areAllRowsOpenIn(layout, state)) {
    if (performance.now() >= deadlineMs)
      return { is: 'not_done', reason: 'the layout of the SKU kept changing until the deadline' };
    await pause(PAUSE_MS);
    return readSplit({ hot }, sku_id, deadlineMs);
  }
  const currentRows = state.rows
    .filter(({ sub_row, shard }) => layout.placement[sub_row] === shard)
    .sort((a, b) => a.sub_row - b.sub_row);
  return {
    is: 'found',
    mode: layout.placement.length > 1 ? 'hot' : 'single',
    leaved_amount: state.leaved,
    rows: currentRows.map(({ shard, sub_row, leaved_amount }) => ({ shard, sub_row, leaved_amount })),
    in_transit: currentRows.reduce((units, row) => units - row.leaved_amount, state.leaved),
  };
}
