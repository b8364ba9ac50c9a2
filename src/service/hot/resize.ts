import { RowsUnavailable } from '../../core/ports/hotRows.ts';
import type { HotRows } from '../../core/ports/hotRows.ts';
import type { Layouts, ReplaceOutcome } from '../../core/ports/layouts.ts';
import {
  abortResize,
  beginResize,
  commitResize,
  endResize,
  isSamePlacement,
  placementFor,
  unsplitLayout,
} from '../../core/hot/layout.ts';
import type { Layout, RowPlacement } from '../../core/hot/layout.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import { refused } from '../../core/outcome.ts';
import type { NotDone, Refused, OutcomeInDoubt } from '../../core/outcome.ts';
import { pause } from '../../core/async/pause.ts';
import type { Routing } from '../routing/routing.ts';
import type { LayoutCache } from '../routing/layoutCache.ts';

/** Closed rows serve no order, so a row that cannot be closed in this time postpones the resize. */
const CLOSE_MS = 150;
const OPEN_MS = 1_000;
const PAUSE_MS = 10;
/** Further tries, because a shard may have been busy for a moment only. */
const TRIES_MAX = 3;

/** The ports for resizing. */
export interface ResizePorts {
  readonly routing: Routing;
  readonly store: Layouts;
  readonly rows: HotRows;
  readonly layouts: LayoutCache;
  /** The server of each shard, by its index. */
  readonly servers: readonly string[];
  /** Moves units to the rows of a layout that is being opened, as far as that is possible. */
  readonly spread: (layout: Layout) => Promise<void>;
}

/** The SKU has the requested number of rows. */
export interface Resized {
  readonly is: 'resized';
  readonly layout: Layout;
  readonly replayed: boolean;
}

/**
 * Changes the number of rows of a SKU while it sells. All old rows are closed before any new row opens. Each step is
 * recorded in the layout before the next begins, so any gateway that finds it unfinished continues from there.
 */
export async function resizeSku(
  ports: ResizePorts,
  sku_id: string,
  sub_row_count: number,
  deadlineMs: DeadlineMs,
): Promise<Resized | Refused | NotDone | OutcomeInDoubt> {
  let isUnsure = false;
  let begun = 0;
  while (performance.now() < deadlineMs) {
    const loaded = await ports.layouts.load(sku_id, deadlineMs);
    if (loaded.is === 'not_done') return isUnsure || begun > 0 ? { is: 'unknown', reason: loaded.reason } : loaded;
    const owner = ports.routing.map.shardOf(sku_id);
    const failure = loaded.layout === null ? await refuseUnknown(ports, owner, sku_id, deadlineMs) : null;
    if (failure !== null) return failure;
    const layout = loaded.layout ?? unsplitLayout(sku_id, owner);
    const places = placementFor(owner, sub_row_count, ports.servers);
    if (layout.state === 'closing' || layout.state === 'opening') {
      // A resize of another gateway, which may have crashed, or our own whose reply was lost.
      if ((await finishResize(ports, layout)) === null) await pause(PAUSE_MS);
      continue;
    }
    if (isSamePlacement(layout.placement, places)) return { is: 'resized', layout, replayed: !isUnsure && begun === 0 };
    if (begun >= TRIES_MAX)
      return {
        is: 'not_done',
        reason: 'not all rows could be closed, or another request changed the layout of the SKU',
      };
    if (begun > 0) await pause(PAUSE_MS * 4 ** begun);
    const unprepared = await prepare(ports, layout, places, deadlineMs);
    if (unprepared !== null) return isUnsure || begun > 0 ? { is: 'unknown', reason: unprepared.reason } : unprepared;
    const next = beginResize(layout, places);
    const replaced = await replace(ports, layout, next, deadlineMs);
    // No row is closed before the layout records it. When that is in doubt, the layout is read again.
    if (replaced === 'unsure') isUnsure = true;
    if (replaced === 'applied') {
      begun += 1;
      await finishResize(ports, next);
    } else await pause(PAUSE_MS);
  }
  return isUnsure || begun > 0
    ? { is: 'unknown', reason: 'the rows were not all open in time' }
    : { is: 'not_done', reason: 'another request was changing the layout of the SKU' };
}

/** Refuses an unknown SKU, so that no rows are made for it. */
async function refuseUnknown(
  { rows }: ResizePorts,
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

/** Makes the new rows, closed, before the old rows are closed: no order has to wait for it. */
async function prepare(
  { rows }: ResizePorts,
  layout: Layout,
  places: RowPlacement,
  deadlineMs: DeadlineMs,
): Promise<NotDone | null> {
  try {
    await Promise.all(
      byShard(places).map(([shard, sub_rows]) =>
        rows.createRows(shard, layout.sku_id, sub_rows, layout.lastEpoch, deadlineMs),
      ),
    );
    return null;
  } catch (error) {
    return awayOrThrow(error);
  }
}

/** Only a shard's failure means that nothing was done. A fault of this program is thrown. */
function awayOrThrow(error: unknown): NotDone {
  if (error instanceof RowsUnavailable) return { is: 'not_done', reason: error.message };
  throw error;
}

/**
 * Continues a layout change from its recorded step.
 *
 * @returns the layout when all its rows are open; null when that is still to be done.
 * @throws an error that is not a shard's failure, after the closed rows were opened again as far as possible
 */
export async function finishResize(ports: ResizePorts, layout: Layout): Promise<Layout | null> {
  if (layout.state === 'closing') {
    const { sku_id, lastEpoch } = layout;
    const closed = await onRows(layout.placement, (shard, sub_rows) =>
      ports.rows.close(shard, sku_id, sub_rows, lastEpoch, performance.now() + CLOSE_MS),
    );
    const next = closed.isDone ? commitResize(layout) : abortResize(layout);
    const isReplaced = (await replace(ports, layout, next, performance.now() + OPEN_MS)) === 'applied';
    const finished = isReplaced ? await finishResize(ports, next) : null;
    if (closed.fault !== null) throw closed.fault;
    return finished;
  }
  if (layout.state === 'opening') {
    const { sku_id, placement, epoch } = layout;
    const untilMs = performance.now() + OPEN_MS;
    const [owner] = placement;
    const sale = owner === undefined ? null : await orNull(ports.rows.readSale(owner, sku_id, untilMs));
    if (sale === null) return null;
    const spreading = ports.spread(layout);
    const opened = await onRows(placement, (shard, sub_rows) =>
      ports.rows.open(shard, sku_id, sub_rows, epoch, sale, untilMs),
    );
    const next = endResize(layout);
    const isEnded = opened.isDone && (await replace(ports, layout, next, untilMs)) === 'applied';
    await spreading;
    if (opened.fault !== null) throw opened.fault;
    return isEnded ? next : null;
  }
  return layout;
}

async function replace(
  { store, routing, layouts }: ResizePorts,
  was: Layout,
  is: Layout,
  deadlineMs: DeadlineMs,
): Promise<ReplaceOutcome> {
  const replaced = await store.replace(routing.map.shardOf(was.sku_id), was, is, deadlineMs);
  if (replaced === 'applied') layouts.put(is);
  return replaced;
}

/** The result of some work on all rows. */
interface OnRows {
  readonly isDone: boolean;
  /** The first error that is not a shard's failure; null: none. */
  readonly fault: Error | null;
}

/** Runs work on all rows at once, and waits for every one of them. */
async function onRows(
  places: RowPlacement,
  work: (shard: ShardIndex, sub_rows: readonly number[]) => Promise<boolean>,
): Promise<OnRows> {
  const done = await Promise.allSettled(byShard(places).map(([shard, sub_rows]) => work(shard, sub_rows)));
  const failures = done.flatMap((each): unknown[] => (each.status === 'rejected' ? [each.reason] : []));
  const fault = failures.find((failure) => !(failure instanceof RowsUnavailable));
  const isDone = done.every((each) => each.status === 'fulfilled' && each.value);
  if (fault === undefined) return { isDone, fault: null };
  return { isDone, fault: fault instanceof Error ? fault : new Error('a row failed', { cause: fault }) };
}

async function orNull<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof RowsUnavailable) return null;
    throw error;
  }
}

function byShard(places: RowPlacement): [ShardIndex, number[]][] {
  const groups = new Map<ShardIndex, number[]>();
  places.forEach((shard, sub_row) => groups.set(shard, [...(groups.get(shard) ?? []), sub_row]));
  return [...groups];
}
