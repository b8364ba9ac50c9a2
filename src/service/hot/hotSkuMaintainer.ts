import { RowsUnavailable } from '../../core/ports/hotRows.ts';
import type { UnfinishedSkus } from '../../core/ports/hotRows.ts';
import { dropEarlierPlacements, endSplit } from '../../core/hot/layout.ts';
import type { Layout } from '../../core/hot/layout.ts';
import type { ShardIndex } from '../../core/types.ts';
import { readAllRows } from './readAllRows.ts';
import type { Rebalancer } from './rebalancer.ts';
import { writePointers } from './writePointers.ts';
import type { PointerPorts } from './writePointers.ts';
import { finishResize } from './resize.ts';
import type { ResizePorts } from './resize.ts';

/** How often the rows of a SKU that sells are read, so that they are filled up before they run short. */
const READ_MS = 250;
const STEP_MS = 1_000;
/** Longer than a step, because no request waits for maintenance. */
const REBALANCE_MS = 5_000;
/** Unfinished work that no gateway has touched for this time is taken over by another. */
const STALE_MS = 1_500;
const UNTIDY_MAX = 20;
/** The most SKUs that a sweep maintains at the same time. The next sweep finds the others again. */
const MAINTAINED_MAX = 8;

export interface HotSkuMaintainerPorts extends ResizePorts, PointerPorts {
  readonly rebalancer: Rebalancer;
}

/**
 * Maintains split SKUs. It fills up rows that run low, finishes layout changes that a crash left unfinished, and writes
 * pointers until no earlier layout has to be read. When a SKU has one row again, it makes it an ordinary SKU. Every
 * gateway has one, and several may do the same work at the same time.
 */
export class HotSkuMaintainer {
  readonly #ports: HotSkuMaintainerPorts;
  readonly #onFault: (error: unknown) => void;
  readonly #maintained = new Map<string, Promise<void>>();
  readonly #rebalanced = new Set<string>();
  #timer: NodeJS.Timeout | null = null;

  /**
   * @param onFault receives unexpected errors. A shard that cannot be reached is not one: the next sweep tries it again
   */
  constructor(ports: HotSkuMaintainerPorts, onFault: (error: unknown) => void) {
    this.#ports = ports;
    this.#onFault = (error) => {
      if (!(error instanceof RowsUnavailable)) onFault(error);
    };
  }

  start(): void {
    this.#timer = setInterval(() => {
      for (const sku_id of this.#ports.layouts.takeUsed()) void this.#rebalance(sku_id).catch(this.#onFault);
    }, READ_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    await Promise.all(this.#maintained.values());
  }

  /** Takes over unfinished work that is recorded on a shard. The work goes on in the background. */
  async sweep(shard: ShardIndex): Promise<void> {
    const { sku_ids } = await this.#findUntidy(shard);
    await Promise.all(sku_ids.map((sku_id) => this.#takeOver(sku_id).catch(this.#onFault)));
  }

  async #takeOver(sku_id: string): Promise<void> {
    if (this.#maintained.has(sku_id) || this.#maintained.size >= MAINTAINED_MAX) return;
    const owner = this.#ports.routing.map.shardOf(sku_id);
    if (await this.#ports.store.claimUnfinished(owner, sku_id, STALE_MS, performance.now() + STEP_MS))
      void this.maintain(sku_id);
  }

  #findUntidy(shard: ShardIndex): Promise<UnfinishedSkus> {
    return this.#ports.rows.findUnfinished(shard, UNTIDY_MAX, performance.now() + STEP_MS).catch((error: unknown) => {
      this.#onFault(error);
      return { sku_ids: [] };
    });
  }

  /** Does all maintenance of a SKU, one run at a time. A call during a run causes another run. */
  maintain(sku_id: string): Promise<void> {
    const running = this.#maintained.get(sku_id);
    const done = (running ?? Promise.resolve())
      .then(() => this.#maintain(sku_id))
      .catch(this.#onFault)
      .finally(() => {
        if (this.#maintained.get(sku_id) === done) this.#maintained.delete(sku_id);
      });
    this.#maintained.set(sku_id, done);
    return done;
  }

  async #rebalance(sku_id: string): Promise<void> {
    if (this.#rebalanced.has(sku_id)) return;
    this.#rebalanced.add(sku_id);
    await this.#rebalanceOnce(sku_id).finally(() => this.#rebalanced.delete(sku_id));
  }

  async #rebalanceOnce(sku_id: string): Promise<void> {
    const layout = this.#ports.layouts.cached(sku_id);
    // A layout change may be complete now, and reads of earlier layouts may no longer be needed.
    if (layout !== null && (layout.state !== 'open' || layout.earlierPlacements.length > 0))
      await this.#ports.layouts.load(sku_id, performance.now() + STEP_MS);
    await this.#ports.rebalancer.rebalance(sku_id, performance.now() + STEP_MS);
  }

  async #maintain(sku_id: string): Promise<void> {
    const { layouts, rebalancer } = this.#ports;
    const loaded = await layouts.load(sku_id, performance.now() + STEP_MS);
    if (loaded.is === 'not_done' || loaded.layout === null) return;
    const layout = await finishResize(this.#ports, loaded.layout);
    if (layout === null) return;
    await rebalancer.rebalance(sku_id, performance.now() + REBALANCE_MS);
    const pointed = layout.earlierPlacements.length > 0 ? await this.#writePointers(layout) : layout;
    if (pointed?.state === 'open' && pointed.placement.length === 1) await this.#merge(pointed);
  }

  async #writePointers(layout: Layout): Promise<Layout | null> {
    if (!(await writePointers(this.#ports, layout))) return null;
    return this.#replace(layout, dropEarlierPlacements(layout));
  }

  /** Makes the SKU an ordinary one when its only row has all units. */
  async #merge(layout: Layout): Promise<void> {
    const state = await readAllRows(this.#ports.rows, layout, performance.now() + STEP_MS);
    const isOtherRow = ({ shard, sub_row }: { shard: ShardIndex; sub_row: number }): boolean =>
      shard !== layout.placement[0] || sub_row !== 0;
    const only = state.rows.find((row) => !isOtherRow(row));
    const isDrained = state.rows.every((row) => !isOtherRow(row) || row.leaved_amount + row.held_amount === 0);
    if (only === undefined || state.fault !== null || !isDrained || state.transfers.length > 0) return;
    const { store, routing, layouts } = this.#ports;
    const single = endSplit(layout);
    // Only if the row has not changed since it was read: an ordinary SKU has no other row, so units that left meanwhile
    // would be missed.
    const replaced = await store.replaceBySingle(
      routing.map.shardOf(layout.sku_id),
      layout,
      single,
      only.version,
      performance.now() + STEP_MS,
    );
    if (replaced === 'applied') layouts.put(single);
  }

  async #replace(was: Layout, is: Layout): Promise<Layout | null> {
    const { store, routing, layouts } = this.#ports;
    const replaced = await store.replace(routing.map.shardOf(was.sku_id), was, is, performance.now() + STEP_MS);
    if (replaced !== 'applied') return null;
    layouts.put(is);
    return is;
  }
}
