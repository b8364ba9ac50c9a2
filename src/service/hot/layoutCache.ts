import type { Layouts } from '../../core/hotPorts.ts';
import type { Layout } from '../../core/layout.ts';
import type { DeadlineMs } from '../../core/nouns.ts';
import type { NotDone } from '../../core/outcome.ts';
import { pause } from '../freeHolds.ts';
import type { Routing } from '../routing.ts';
import { Sharing } from '../sharing.ts';

/** Layouts that are remembered at most; then the oldest is forgotten. */
const LAYOUTS_MAX = 10_000;
/** Rows are closed for milliseconds; who meets them asks as often. */
const CLOSING_PAUSE_MS = 3;

/** What reading a layout may take, whoever waits for it. */
const READ_MS = 1_000;

/** What reading a layout gave; null: the SKU was never split. */
export type Loaded = { readonly is: 'layout'; readonly layout: Layout | null } | NotDone;

/**
 * The layouts of split SKUs, as far as this gateway knows. They may be stale: rows carry the epoch of their layout, and
 * refuse who names another. Of a SKU that is not in it one row is thought, at its slot's owner, which is checked likewise.
 */
export class LayoutCache {
  readonly #store: Layouts;
  readonly #routing: Routing;
  readonly #known = new Map<string, Layout>();
  readonly #loading = new Sharing<Loaded>(() => false);
  readonly #used = new Set<string>();

  constructor(store: Layouts, routing: Routing) {
    this.#store = store;
    this.#routing = routing;
  }

  /** The layout of a SKU that is split, as it was last heard of. */
  known(sku_id: string): Layout | null {
    return this.#known.size === 0 ? null : (this.#known.get(sku_id) ?? null);
  }

  /** The same, for a customer: as long as there are some, its rows are looked after. */
  forUse(sku_id: string): Layout | null {
    const layout = this.known(sku_id);
    if (layout !== null) this.#used.add(sku_id);
    return layout;
  }

  /** SKUs that customers asked for since this was last called. */
  takeUsed(): readonly string[] {
    const used = [...this.#used];
    this.#used.clear();
    return used;
  }

  /** Reads a layout from its shard; who asks while it is being read waits for the next reading. */
  async load(sku_id: string, deadlineMs: DeadlineMs): Promise<Loaded> {
    const loaded = await this.#loading.do(sku_id, deadlineMs, () => this.#read(sku_id, performance.now() + READ_MS));
    return loaded ?? { is: 'not_done', reason: 'the layout of a SKU could not be read in time' };
  }

  /** The same, and waits while the SKU's rows are being closed. */
  async loadUsable(sku_id: string, deadlineMs: DeadlineMs): Promise<Loaded> {
    for (;;) {
      const loaded = await this.load(sku_id, deadlineMs);
      if (loaded.is === 'not_done' || loaded.layout?.state !== 'closing' || performance.now() >= deadlineMs)
        return loaded;
      await pause(CLOSING_PAUSE_MS);
    }
  }

  note(layout: Layout): void {
    const known = this.#known.get(layout.sku_id);
    if (known !== undefined && known.revision > layout.revision) return;
    this.#known.delete(layout.sku_id);
    if (layout.state === 'single') return;
    this.#known.set(layout.sku_id, layout);
    const [oldest] = this.#known.keys();
    if (this.#known.size > LAYOUTS_MAX && oldest !== undefined) this.#known.delete(oldest);
  }

  async #read(sku_id: string, deadlineMs: DeadlineMs): Promise<Loaded> {
    const found = await this.#routing.onOwners((map) => this.#store.read(map.shardOf(sku_id), sku_id, deadlineMs));
    if (found.is !== 'found') return found;
    if (found.layout === null) this.#known.delete(sku_id);
    else this.note(found.layout);
    return { is: 'layout', layout: found.layout };
  }
}
