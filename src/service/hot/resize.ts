import { RowsAway } from '../../core/hotPorts.ts';
import type { HotRows, Layouts, Replaced } from '../../core/hotPorts.ts';
import { abortResize, beginResize, commitResize, endResize, isAlike, placesFor, unsplit } from '../../core/layout.ts';
import type { Layout, Places } from '../../core/layout.ts';
import type { DeadlineMs, ShardIndex } from '../../core/nouns.ts';
import { refused } from '../../core/outcome.ts';
import type { NotDone, Refused, Unknown } from '../../core/outcome.ts';
import { pause } from '../freeHolds.ts';
import type { Routing } from '../routing.ts';
import type { LayoutCache } from './layoutCache.ts';

/** While rows are closed nobody is served: what cannot be closed in this time is left for later. */
const CLOSE_MS = 150;
const OPEN_MS = 1_000;
const PAUSE_MS = 10;
/** A shard that was busy for a moment is no reason to give up. */
const TRIES_MAX = 3;

/** What resizing works with. */
export interface ResizeParts {
  readonly routing: Routing;
  readonly store: Layouts;
  readonly rows: HotRows;
  readonly layouts: LayoutCache;
  /** The server of each shard, by its index. */
  readonly servers: readonly string[];
  /** Brings units to the rows of a layout that is being opened, as far as it can. */
  readonly spread: (layout: Layout) => Promise<void>;
}

/** A SKU lies in as many rows as was asked for. */
export interface Resized {
  readonly is: 'resized';
  readonly layout: Layout;
  readonly replayed: boolean;
}

/**
 * Lays the stock of a SKU out in some number of rows, while it sells. All old rows are closed before any new one opens, and each
 * step stands in the layout before the next begins: whoever finds it half done goes on from there.
 */
export async function resizeSku(
  parts: ResizeParts,
  sku_id: string,
  sub_row_count: number,
  deadlineMs: DeadlineMs,
): Promise<Resized | Refused | NotDone | Unknown> {
  let isUnsure = false;
  let begun = 0;
  while (performance.now() < deadlineMs) {
    const loaded = await parts.layouts.load(sku_id, deadlineMs);
    if (loaded.is === 'not_done') return isUnsure || begun > 0 ? { is: 'unknown', reason: loaded.reason } : loaded;
    const owner = parts.routing.map.shardOf(sku_id);
    const failure = loaded.layout === null ? await findMissing(parts, owner, sku_id, deadlineMs) : null;
    if (failure !== null) return failure;
    const layout = loaded.layout ?? unsplit(sku_id, owner);
    const places = placesFor(owner, sub_row_count, parts.servers);
    if (layout.state === 'closing' || layout.state === 'opening') {
      // Somebody's, who may be gone; or our own, whose answer was lost.
      if ((await finishResize(parts, layout)) === null) await pause(PAUSE_MS);
      continue;
    }
    if (isAlike(layout.places, places)) return { is: 'resized', layout, replayed: !isUnsure && begun === 0 };
    if (begun >= TRIES_MAX)
      return { is: 'not_done', reason: 'not all rows could be closed, or somebody laid the SKU out otherwise' };
    if (begun > 0) await pause(PAUSE_MS * 4 ** begun);
    const unprepared = await prepare(parts, layout, places, deadlineMs);
    if (unprepared !== null) return isUnsure || begun > 0 ? { is: 'unknown', reason: unprepared.reason } : unprepared;
    const next = beginResize(layout, places);
    const replaced = await put(parts, layout, next, deadlineMs);
    // Nothing is closed that the layout does not say: where nobody knows, it is looked at again.
    if (replaced === 'unsure') isUnsure = true;
    if (replaced === 'applied') {
      begun += 1;
      await finishResize(parts, next);
    } else await pause(PAUSE_MS);
  }
  return isUnsure || begun > 0
    ? { is: 'unknown', reason: 'the rows were not all open in time' }
    : { is: 'not_done', reason: 'somebody else was laying the SKU out' };
}

/** Rows are made of no SKU that is not there. */
async function findMissing(
  { rows }: ResizeParts,
  owner: ShardIndex,
  sku_id: string,
  deadlineMs: DeadlineMs,
): Promise<Refused | NotDone | null> {
  try {
    return (await rows.readSale(owner, sku_id, deadlineMs)) === null ? refused('unknown_sku') : null;
  } catch (error) {
    return awayOrThrow(error);
  }
}

/** Makes the rows that are to come, closed, so that nobody waits for that later. */
async function prepare(
  { rows }: ResizeParts,
  layout: Layout,
  places: Places,
  deadlineMs: DeadlineMs,
): Promise<NotDone | null> {
  try {
    await Promise.all(
      byShard(places).map(([shard, sub_rows]) =>
        rows.prepare(shard, layout.sku_id, sub_rows, layout.lastEpoch, deadlineMs),
      ),
    );
    return null;
  } catch (error) {
    return awayOrThrow(error);
  }
}

/** Only a shard's own failure means that nothing was done; a fault of this program goes on to the caller. */
function awayOrThrow(error: unknown): NotDone {
  if (error instanceof RowsAway) return { is: 'not_done', reason: error.message };
  throw error;
}

/**
 * Goes on with a layout that is being changed, from where it stands.
 *
 * @returns it when all its rows are open; null when that is still to be done
 * @throws a fault that is no shard's own, once rows that were closed have been opened again as far as that is possible
 */
export async function finishResize(parts: ResizeParts, layout: Layout): Promise<Layout | null> {
  if (layout.state === 'closing') {
    const { sku_id, lastEpoch } = layout;
    const closed = await onRows(layout.places, (shard, sub_rows) =>
      parts.rows.close(shard, sku_id, sub_rows, lastEpoch, performance.now() + CLOSE_MS),
    );
    const next = closed.isDone ? commitResize(layout) : abortResize(layout);
    const isPut = (await put(parts, layout, next, performance.now() + OPEN_MS)) === 'applied';
    const finished = isPut ? await finishResize(parts, next) : null;
    if (closed.fault !== null) throw closed.fault;
    return finished;
  }
  if (layout.state === 'opening') {
    const { sku_id, places, epoch } = layout;
    const untilMs = performance.now() + OPEN_MS;
    const [owner] = places;
    const sale = owner === undefined ? null : await orNull(parts.rows.readSale(owner, sku_id, untilMs));
    if (sale === null) return null;
    const spreading = parts.spread(layout);
    const opened = await onRows(places, (shard, sub_rows) =>
      parts.rows.open(shard, sku_id, sub_rows, epoch, sale, untilMs),
    );
    const next = endResize(layout);
    const isEnded = opened.isDone && (await put(parts, layout, next, untilMs)) === 'applied';
    await spreading;
    if (opened.fault !== null) throw opened.fault;
    return isEnded ? next : null;
  }
  return layout;
}

async function put(
  { store, routing, layouts }: ResizeParts,
  was: Layout,
  is: Layout,
  deadlineMs: DeadlineMs,
): Promise<Replaced> {
  const replaced = await store.replace(routing.map.shardOf(was.sku_id), was, is, deadlineMs);
  if (replaced === 'applied') layouts.note(is);
  return replaced;
}

/** The result for all rows. */
interface OnRows {
  readonly isDone: boolean;
  /** The first error that is no failure of a shard; null: none. */
  readonly fault: Error | null;
}

/** Does something with all rows at once, and waits for every one of them. */
async function onRows(
  places: Places,
  work: (shard: ShardIndex, sub_rows: readonly number[]) => Promise<boolean>,
): Promise<OnRows> {
  const done = await Promise.allSettled(byShard(places).map(([shard, sub_rows]) => work(shard, sub_rows)));
  const failures = done.flatMap((each): unknown[] => (each.status === 'rejected' ? [each.reason] : []));
  const fault = failures.find((failure) => !(failure instanceof RowsAway));
  const isDone = done.every((each) => each.status === 'fulfilled' && each.value);
  if (fault === undefined) return { isDone, fault: null };
  return { isDone, fault: fault instanceof Error ? fault : new Error('a row failed', { cause: fault }) };
}

async function orNull<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof RowsAway) return null;
    throw error;
  }
}

function byShard(places: Places): [ShardIndex, number[]][] {
  const groups = new Map<ShardIndex, number[]>();
  places.forEach((shard, sub_row) => groups.set(shard, [...(groups.get(shard) ?? []), sub_row]));
  return [...groups];
}
