import type { Layouts } from '../../core/ports/layouts.ts';
import type { Layout } from '../../core/hot/layout.ts';
import type { DeadlineMs } from '../../core/types.ts';
import type { NotDone } from '../../core/outcome.ts';
import { pause } from '../../core/async/pause.ts';
import type { Routing } from './routing.ts';
import { SingleFlight } from '../tasks/singleFlight.ts';

/** The most layouts in the cache. Beyond it the oldest is dropped. */
const LAYOUTS_MAX = 10_000;
/** Rows stay closed for milliseconds only, so a request that finds them closed reads the layout again as often. */
const CLOSING_PAUSE_MS = 3;

/** The time limit of one read of a layout, which several requests may share. */
const READ_MS = 1_000;

/** The result of reading a layout; null: the SKU was never split. */
export type LoadedLayout = { readonly is: 'layout'; readonly layout: Layout | null } | NotDone;

/**
 * The layouts of split SKUs that this gateway has read. They may be stale: rows carry the epoch of their layout, and a
 * write that names another epoch is rejected. A SKU that is not in the cache is taken to have one row, at its slot's
 * owner. That is checked in the same way.
 */
export class LayoutCache {
  readonly #store: Layouts;
  readonly #routing: Routing;
  readonly #cached = new Map<string, Layout>();
  readonly #loading = new SingleFlight<LoadedLayout>(() => false);
  readonly #used = new Set<string>();

  constructor(store: Layouts, routing: Routing) {
    this.#store = store;
    this.#routing = routing;
  }

  /** The layout of a split SKU as it was last read, or null. */
  cached(sku_id: string): Layout | null {
    return this.#cached.size === 0 ? null : (this.#cached.get(sku_id) ?? null);
  }

  /** The same, for a customer's request: while a SKU has such requests, its rows are kept filled up. */
  cachedForRequest(sku_id: string): Layout | null {
    const layout = this.cached(sku_id);
    if (layout !== null) this.#used.add(sku_id);
    return layout;
  }

  /** The SKUs that customers requested since the last call. */
  takeUsed(): readonly string[] {
    const used = [...this.#used];
    this.#used.clear();
    return used;
  }

  /** Reads a layout from its shard. A call that comes during a read waits for the next read. */
  async load(sku_id: string, deadlineMs: DeadlineMs): Promise<LoadedLayout> {
    const loaded = await this.#loading.run(sku_id, deadlineMs, () => this.#read(sku_id, performance.now() + READ_MS));
    return loaded ?? { is: 'not_done', reason: 'the layout of a SKU could not be read in time' };
  }

  /** The same, and waits while the SKU's rows are being closed. */
  async loadUsable(sku_id: string, deadlineMs: DeadlineMs): Promise<LoadedLayout> {
    for (;;) {
      const loaded = await this.load(sku_id, deadlineMs);
      if (loaded.is === 'not_done' || loaded.layout?.state !== 'closing' || performance.now() >= deadlineMs)
        return loaded;
      await pause(CLOSING_PAUSE_MS);
    }
  }

  /** Puts a layout that was read or written into the cache, unless a later revision is there. */
  put(layout: Layout): void {
    const cached = this.#cached.get(layout.sku_id);
    if (cached !== undefined && cached.revision > layout.revision) return;
    this.#cached.delete(layout.sku_id);
    if (layout.state === 'single') return;
    this.#cached.set(layout.sku_id, layout);
    const [oldest] = this.#cached.keys();
    if (this.#cached.size > LAYOUTS_MAX && oldest !== undefined) this.#cached.delete(oldest);
  }

  async #read(sku_id: string, deadlineMs: DeadlineMs): Promise<LoadedLayout> {
    const found = await this.#routing.onOwners((map) => this.#store.read(map.shardOf(sku_id), sku_id, deadlineMs));
    if (found.is !== 'found') return found;
    if (found.layout === null) this.#cached.delete(sku_id);
    else this.put(found.layout);
    return { is: 'layout', layout: found.layout };
  }
}
