import murmurhash from 'murmurhash';
import type { RowPlace, ShardIndex } from '../types.ts';

/** Rows of one SKU, at most. */
export const SUB_ROWS_LIMIT = 64;

/** Not the seed of slots: the rows of the ids must not depend on the slots of the same texts. */
const SEED = 0x5eed;

/** The shard of each row of a SKU, in the order of the rows. */
export type RowPlacement = readonly ShardIndex[];

/**
 * The layout of a SKU that is or was split. It is stored on the shard that owns the slot of the SKU. Every change is a
 * compare-and-set. Its states:
 *
 * `single`: one row, on the shard that owns the slot. It takes new ids as the row of any SKU does. Pointers on that
 * shard name the flows on other shards.
 *
 * `closing`: the rows are being closed. No gateway opens a row before all are closed.
 *
 * `opening`: the rows of `placement` are being opened. A row that is open takes new ids.
 *
 * `open`: all rows of `placement` take new ids.
 */
export interface Layout {
  readonly sku_id: string;
  /** Raised by every change. */
  readonly revision: number;
  readonly state: 'single' | 'closing' | 'opening' | 'open';
  /**
   * The epoch of the rows of `placement` when they are open. 0 while the SKU is `single`: writes to its row name no
   * epoch.
   */
  readonly epoch: number;
  /** The highest epoch that any row may have. */
  readonly lastEpoch: number;
  readonly placement: RowPlacement;
  /** While `closing`: the placement that comes next. */
  readonly nextPlacement: RowPlacement | null;
  /** Earlier placements with ids that may have no pointer yet, oldest first. */
  readonly earlierPlacements: readonly RowPlacement[];
  /** All shards on which the SKU has or had rows, and so may have flows. */
  readonly shards: readonly ShardIndex[];
}

/**
 * Checks a layout that was read. A layout that contradicts itself, or names shards that do not exist, must not be used.
 *
 * @param shardCount the number of shards in the configuration; valid shards are 0 to `shardCount - 1`
 * @returns the fault, or null
 */
export function layoutFault(
  { state, epoch, lastEpoch, placement, nextPlacement, earlierPlacements, shards }: Omit<Layout, 'sku_id' | 'revision'>,
  shardCount: number,
): string | null {
  const named = (name: string, list: RowPlacement): { name: string; list: RowPlacement } => ({ name, list });
  const next = nextPlacement === null ? [] : [named('next_places', nextPlacement)];
  const lists = [
    named('places', placement),
    ...next,
    ...earlierPlacements.map((one) => named('earlier', one)),
    named('shards', shards),
  ];
  for (const { name, list } of lists) {
    if (list.length === 0) return `${name} is empty`;
    const unknown = list.find((shard) => !Number.isInteger(shard) || shard < 0 || shard >= shardCount);
    if (unknown !== undefined) return `${name} names shard ${unknown}, expected 0 to ${shardCount - 1}`;
    const missing = list.find((shard) => !shards.includes(shard));
    if (missing !== undefined) return `${name} names shard ${missing}, which shards does not name`;
  }
  if ((state === 'closing') !== (nextPlacement !== null)) {
    return `state is ${state} and next_places is ${nextPlacement === null ? 'missing' : 'set'}`;
  }
  if (epoch > lastEpoch) return `epoch is ${epoch}, above last_epoch ${lastEpoch}`;
  if (state === 'single' && placement.length !== 1)
    return `state is single and places has ${placement.length} rows, expected 1`;
  return null;
}

/** The row that an id goes to: spread evenly over the rows, and the same at every retry. */
export function subRowOf(order_detail_id: string, count: number): number {
  return count === 1 ? 0 : murmurhash.v3(Buffer.from(order_detail_id, 'utf8'), SEED) % count;
}

/** The row, and its shard, that an id goes to. */
export function rowOfId(places: RowPlacement, order_detail_id: string): RowPlace {
  const sub_row = subRowOf(order_detail_id, places.length);
  const shard = places[sub_row];
  if (shard === undefined) throw new RangeError('a layout has no places, expected at least 1');
  return { shard, sub_row };
}

/**
 * Places the rows of a SKU. The first row goes to the owner of the slot. Each other row goes to the shard with the
 * fewest rows of the SKU, and among those to the server with the fewest. A row has the same shard for every `count`.
 *
 * @param servers the server of each shard, by shard index; shards on one server have the same text
 */
export function placementFor(owner: ShardIndex, count: number, servers: readonly string[]): RowPlacement {
  const places: ShardIndex[] = [owner];
  const onShard = (shard: ShardIndex): number => places.filter((place) => place === shard).length;
  const onServer = (shard: ShardIndex): number => places.filter((place) => servers[place] === servers[shard]).length;
  const distance = (shard: ShardIndex): number => (shard - owner + servers.length) % servers.length;
  while (places.length < count) {
    const [best = owner] = servers
      .map((_, shard) => shard)
      .sort((a, b) => onShard(a) - onShard(b) || onServer(a) - onServer(b) || distance(a) - distance(b));
    places.push(best);
  }
  return places;
}

/** The layout of a SKU that was never split. */
export function unsplitLayout(sku_id: string, owner: ShardIndex): Layout {
  return {
    sku_id,
    revision: 0,
    state: 'single',
    epoch: 0,
    lastEpoch: 0,
    placement: [owner],
    nextPlacement: null,
    earlierPlacements: [],
    shards: [owner],
  };
}

/** Whether two placements are the same. */
export function isSamePlacement(a: RowPlacement, b: RowPlacement): boolean {
  return a.length === b.length && a.every((shard, sub_row) => shard === b[sub_row]);
}

/** Begins a resize: all rows are to be closed, and then others opened. Only from `single` or `open`. */
export function beginResize(layout: Layout, nextPlacement: RowPlacement): Layout {
  if (layout.state !== 'single' && layout.state !== 'open')
    throw new Error(`a layout can be resized in the state single or open, found ${layout.state}`);
  return {
    ...changed(layout),
    state: 'closing',
    lastEpoch: layout.lastEpoch + 1,
    nextPlacement,
    shards: union(layout.shards, nextPlacement),
  };
}

/** Commits a resize after all rows were closed: from now on the new placement is valid. */
export function commitResize(layout: Layout): Layout {
  if (layout.state !== 'closing' || layout.nextPlacement === null)
    throw new Error(`a resize can be committed in the state closing with nextPlacement, found ${layout.state}`);
  const earlier = [
    ...layout.earlierPlacements.filter((places) => !isSamePlacement(places, layout.placement)),
    layout.placement,
  ];
  return {
    ...changed(layout),
    state: 'opening',
    epoch: layout.lastEpoch,
    placement: layout.nextPlacement,
    nextPlacement: null,
    earlierPlacements: earlier,
  };
}

/**
 * Aborts a resize because some rows could not be closed. The closed rows are opened again under a new epoch. Every id
 * keeps its row, so the rows that were not closed may take ids meanwhile.
 */
export function abortResize(layout: Layout): Layout {
  if (layout.state !== 'closing')
    throw new Error(`a resize can be aborted in the state closing, found ${layout.state}`);
  return { ...changed(layout), state: 'opening', epoch: layout.lastEpoch, nextPlacement: null };
}

/** Ends a resize after all rows were opened. */
export function endResize(layout: Layout): Layout {
  if (layout.state !== 'opening') throw new Error(`a resize can be ended in the state opening, found ${layout.state}`);
  return { ...changed(layout), state: 'open' };
}

/** Drops the earlier placements, once every id on another shard has a pointer on the shard it goes to now. */
export function dropEarlierPlacements(layout: Layout): Layout {
  return { ...changed(layout), earlierPlacements: [] };
}

/** Ends the split of a SKU whose one row has all units: the SKU is an ordinary one again. */
export function endSplit(layout: Layout): Layout {
  if (layout.state !== 'open' || layout.placement.length !== 1 || layout.earlierPlacements.length > 0)
    throw new Error(
      `a SKU can be merged in the state open with one row and no earlier placements, found ${layout.state}`,
    );
  return { ...changed(layout), state: 'single', epoch: 0 };
}

function changed(layout: Layout): Layout {
  return { ...layout, revision: layout.revision + 1 };
}

function union(some: readonly ShardIndex[], others: readonly ShardIndex[]): ShardIndex[] {
  return [...new Set([...some, ...others])];
}
