import { RowsAway } from '../../core/hotPorts.ts';
import type { Untidy } from '../../core/hotPorts.ts';
import { forgetEarlier, mergeAll } from '../../core/layout.ts';
import type { Layout } from '../../core/layout.ts';
import type { ShardIndex } from '../../core/nouns.ts';
import { collect } from './collect.ts';
import type { Gatherer } from './gatherer.ts';
import { pointIds } from './pointIds.ts';
import type { PointParts } from './pointIds.ts';
import { finishResize } from './resize.ts';
import type { ResizeParts } from './resize.ts';

/** How often the rows of a SKU that sells are looked at, so that they are filled up before they run short. */
const LOOK_MS = 250;
const LEVEL_MS = 1_000;
/** Nobody waits for what is tended. */
const TEND_MS = 5_000;
/** How long nobody may have worked on what is unfinished, until somebody else does. */
const STALE_MS = 1_500;
const UNTIDY_MAX = 20;
/** SKUs that are looked after at a time; the others are found again. */
const TENDED_MAX = 8;

export interface KeeperParts extends ResizeParts, PointParts {
  readonly gatherer: Gatherer;
}

/**
 * Looks after split SKUs: fills up rows that run low, finishes what a crash left half done, writes pointers until earlier layouts
 * need not be asked any more, and ends with a SKU like any other when there is one row again. Every gateway has one, and all
 * that it does can be done by several at once.
 */
export class Keeper {
  readonly #parts: KeeperParts;
  readonly #onFault: (error: unknown) => void;
  readonly #tended = new Map<string, Promise<void>>();
  readonly #looked = new Set<string>();
  #timer: NodeJS.Timeout | null = null;

  /** @param onFault told of what no code foresaw; a shard that is away is tried again by whoever sweeps next */
  constructor(parts: KeeperParts, onFault: (error: unknown) => void) {
    this.#parts = parts;
    this.#onFault = (error) => {
      if (!(error instanceof RowsAway)) onFault(error);
    };
  }

  start(): void {
    this.#timer = setInterval(() => {
      for (const sku_id of this.#parts.layouts.takeUsed()) void this.#look(sku_id).catch(this.#onFault);
    }, LOOK_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await Promise.all(this.#tended.values());
  }

  /** Takes on what somebody left on a shard; it goes on behind the caller's back. */
  async sweep(shard: ShardIndex): Promise<void> {
    const { sku_ids } = await this.#findUntidy(shard);
    await Promise.all(sku_ids.map((sku_id) => this.#takeOn(sku_id).catch(this.#onFault)));
  }

  async #takeOn(sku_id: string): Promise<void> {
    if (this.#tended.has(sku_id) || this.#tended.size >= TENDED_MAX) return;
    const owner = this.#parts.routing.map.shardOf(sku_id);
    if (await this.#parts.store.takeOver(owner, sku_id, STALE_MS, performance.now() + LEVEL_MS)) void this.tend(sku_id);
  }

  #findUntidy(shard: ShardIndex): Promise<Untidy> {
    return this.#parts.rows.findUntidy(shard, UNTIDY_MAX, performance.now() + LEVEL_MS).catch((error: unknown) => {
      this.#onFault(error);
      return { sku_ids: [] };
    });
  }

  /** Does all there is to do about a SKU, once at a time: who asks while it is being done has it done once more. */
  tend(sku_id: string): Promise<void> {
    const running = this.#tended.get(sku_id);
    const tended = (running ?? Promise.resolve())
      .then(() => this.#tend(sku_id))
      .catch(this.#onFault)
      .finally(() => {
        if (this.#tended.get(sku_id) === tended) this.#tended.delete(sku_id);
      });
    this.#tended.set(sku_id, tended);
    return tended;
  }

  async #look(sku_id: string): Promise<void> {
    if (this.#looked.has(sku_id)) return;
    this.#looked.add(sku_id);
    await this.#lookOnce(sku_id).finally(() => this.#looked.delete(sku_id));
  }

  async #lookOnce(sku_id: string): Promise<void> {
    const layout = this.#parts.layouts.known(sku_id);
    // What is being changed may be done by now, and the earlier homes may not need to be asked any more.
    if (layout !== null && (layout.state !== 'open' || layout.earlier.length > 0))
      await this.#parts.layouts.load(sku_id, performance.now() + LEVEL_MS);
    await this.#parts.gatherer.level(sku_id, performance.now() + LEVEL_MS);
  }

  async #tend(sku_id: string): Promise<void> {
    const { layouts, gatherer } = this.#parts;
    const loaded = await layouts.load(sku_id, performance.now() + LEVEL_MS);
    if (loaded.is === 'not_done' || loaded.layout === null) return;
    const layout = await finishResize(this.#parts, loaded.layout);
    if (layout === null) return;
    await gatherer.level(sku_id, performance.now() + TEND_MS);
    const pointed = layout.earlier.length > 0 ? await this.#point(layout) : layout;
    if (pointed?.state === 'open' && pointed.places.length === 1) await this.#merge(pointed);
  }

  async #point(layout: Layout): Promise<Layout | null> {
    if (!(await pointIds(this.#parts, layout))) return null;
    return this.#put(layout, forgetEarlier(layout));
  }

  /** One row that has everything becomes an ordinary one. */
  async #merge(layout: Layout): Promise<void> {
    const state = await collect(this.#parts.rows, layout, performance.now() + LEVEL_MS);
    const isOther = ({ shard, sub_row }: { shard: ShardIndex; sub_row: number }): boolean =>
      shard !== layout.places[0] || sub_row !== 0;
    const only = state.rows.find((row) => !isOther(row));
    const isDrained = state.rows.every((row) => !isOther(row) || row.leaved_amount + row.held_amount === 0);
    if (only === undefined || state.fault !== null || !isDrained || state.transfers.length > 0) return;
    const { store, routing, layouts } = this.#parts;
    const single = mergeAll(layout);
    // As it was seen: units that leave it meanwhile would be missed by who asks no other row.
    const replaced = await store.replaceBySingle(
      routing.map.shardOf(layout.sku_id),
      layout,
      single,
      only.version,
      performance.now() + LEVEL_MS,
    );
    if (replaced === 'applied') layouts.note(single);
  }

  async #put(was: Layout, is: Layout): Promise<Layout | null> {
    const { store, routing, layouts } = this.#parts;
    const replaced = await store.replace(routing.map.shardOf(was.sku_id), was, is, performance.now() + LEVEL_MS);
    if (replaced !== 'applied') return null;
    layouts.note(is);
    return is;
  }
}
