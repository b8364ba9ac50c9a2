import murmurhash from 'murmurhash';
import type { RowPlace, ShardIndex } from './nouns.ts';

/** Rows of one SKU, at most. */
export const SUB_ROWS_LIMIT = 64;

/** Not the seed of slots: the ids of one SKU must not gather where its slot's do. */
const SEED = 0x5eed;

/** Rows of a SKU in their order: on which shard each lies. */
export type Places = readonly ShardIndex[];

/**
 * How a SKU that is or was split lies. It stands on the shard that owns its slot; every change is a compare-and-set.
 *
 * single    one row, at the slot's owner, which takes ids like that of any SKU; what lies elsewhere is pointed to
 * closing   its rows are being closed, and nobody opens any before all are
 * opening   the rows of `places` are being opened; each that is takes ids
 * open      all rows of `places` take ids
 */
export interface Layout {
  readonly sku_id: string;
  /** Raised by every change. */
  readonly revision: number;
  readonly state: 'single' | 'closing' | 'opening' | 'open';
  /** Of the rows of `places`, when they are open; 0 while the SKU is `single`: whoever writes to its row names none. */
  readonly epoch: number;
  /** The highest that any row may have. */
  readonly lastEpoch: number;
  readonly places: Places;
  /** While closing: the layout that is to come. */
  readonly nextPlaces: Places | null;
  /** Layouts whose ids may stand without a pointer to them, oldest first. */
  readonly earlier: readonly Places[];
  /** All shards on which the SKU has or had rows, so may have flows. */
  readonly shards: readonly ShardIndex[];
}

/**
 * Checks a layout as it was read: one that names shards that do not exist, or contradicts itself, places nothing.
 *
 * @param shardCount of the gateway: valid shards are 0 to one less
 * @returns the fault, or null
 */
export function layoutFault(
  { state, epoch, lastEpoch, places, nextPlaces, earlier, shards }: Omit<Layout, 'sku_id' | 'revision'>,
  shardCount: number,
): string | null {
  const named = (name: string, list: Places): { name: string; list: Places } => ({ name, list });
  const next = nextPlaces === null ? [] : [named('next_places', nextPlaces)];
  const lists = [
    named('places', places),
    ...next,
    ...earlier.map((one) => named('earlier', one)),
    named('shards', shards),
  ];
  for (const { name, list } of lists) {
    if (list.length === 0) return `${name} is empty`;
    const unknown = list.find((shard) => !Number.isInteger(shard) || shard < 0 || shard >= shardCount);
    if (unknown !== undefined) return `${name} names shard ${unknown}, expected 0 to ${shardCount - 1}`;
    const missing = list.find((shard) => !shards.includes(shard));
    if (missing !== undefined) return `${name} names shard ${missing}, which shards does not name`;
  }
  if ((state === 'closing') !== (nextPlaces !== null)) {
    return `state is ${state} and next_places is ${nextPlaces === null ? 'missing' : 'set'}`;
  }
  if (epoch > lastEpoch) return `epoch is ${epoch}, above last_epoch ${lastEpoch}`;
  if (state === 'single' && places.length !== 1)
    return `state is single and places has ${places.length} rows, expected 1`;
  return null;
}

/** The row that an id goes to: uniform like a die, but the same at every retry. */
export function subRowOf(order_detail_id: string, count: number): number {
  return count === 1 ? 0 : murmurhash.v3(Buffer.from(order_detail_id, 'utf8'), SEED) % count;
}

/** Where an id is at home. */
export function homeOf(places: Places, order_detail_id: string): RowPlace {
  const sub_row = subRowOf(order_detail_id, places.length);
  const shard = places[sub_row];
  if (shard === undefined) throw new RangeError('a layout without places');
  return { shard, sub_row };
}

/**
 * Where the rows of a SKU are to lie: the first at the slot's owner, each of the others on the shard that has the fewest of them,
 * on the server that has the fewest. Whatever the count, a row lies always in the same place.
 *
 * @param servers of every shard, by its index: shards on one server share it
 */
export function placesFor(owner: ShardIndex, count: number, servers: readonly string[]): Places {
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
export function unsplit(sku_id: string, owner: ShardIndex): Layout {
  return {
    sku_id,
    revision: 0,
    state: 'single',
    epoch: 0,
    lastEpoch: 0,
    places: [owner],
    nextPlaces: null,
    earlier: [],
    shards: [owner],
  };
}

/** Whether two layouts lie alike. */
export function isAlike(a: Places, b: Places): boolean {
  return a.length === b.length && a.every((shard, sub_row) => shard === b[sub_row]);
}

/** Begins to close all rows, to open others. Only from `single` or `open`. */
export function beginResize(layout: Layout, nextPlaces: Places): Layout {
  if (layout.state !== 'single' && layout.state !== 'open')
    throw new Error(`a layout that is ${layout.state} cannot be resized`);
  return {
    ...changed(layout),
    state: 'closing',
    lastEpoch: layout.lastEpoch + 1,
    nextPlaces,
    shards: union(layout.shards, nextPlaces),
  };
}

/** All rows are closed: the new layout is the one that counts. */
export function commitResize(layout: Layout): Layout {
  if (layout.state !== 'closing' || layout.nextPlaces === null) throw new Error('there is no resize to commit');
  const earlier = [...layout.earlier.filter((places) => !isAlike(places, layout.places)), layout.places];
  return {
    ...changed(layout),
    state: 'opening',
    epoch: layout.lastEpoch,
    places: layout.nextPlaces,
    nextPlaces: null,
    earlier,
  };
}

/**
 * Some rows could not be closed: those that are closed open again, under a new epoch. Ids have the same homes as before, so
 * those that were not closed may go on meanwhile.
 */
export function abortResize(layout: Layout): Layout {
  if (layout.state !== 'closing') throw new Error('there is no resize to abort');
  return { ...changed(layout), state: 'opening', epoch: layout.lastEpoch, nextPlaces: null };
}

/** All rows are open. */
export function endResize(layout: Layout): Layout {
  if (layout.state !== 'opening') throw new Error('nothing is being opened');
  return { ...changed(layout), state: 'open' };
}

/** Every id that stands elsewhere has a pointer at its home. */
export function forgetEarlier(layout: Layout): Layout {
  return { ...changed(layout), earlier: [] };
}

/** One row, which has all units: the SKU is like any other again. */
export function mergeAll(layout: Layout): Layout {
  if (layout.state !== 'open' || layout.places.length !== 1 || layout.earlier.length > 0)
    throw new Error('the SKU is not merged yet');
  return { ...changed(layout), state: 'single', epoch: 0 };
}

function changed(layout: Layout): Layout {
  return { ...layout, revision: layout.revision + 1 };
}

function union(some: readonly ShardIndex[], others: readonly ShardIndex[]): ShardIndex[] {
  return [...new Set([...some, ...others])];
}
