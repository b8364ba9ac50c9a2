import { RowsUnavailable } from '../../core/ports/hotRows.ts';
import { rowOfId } from '../../core/hot/layout.ts';
import { flowKeyText } from '../../core/types.ts';
import type { DeadlineMs, FlowKey, WithRow, RowRef, ShardIndex } from '../../core/types.ts';
import type { Misrouted, NotDone } from '../../core/outcome.ts';
import { pause } from '../../core/async/pause.ts';
import type { ServicePorts } from '../servicePorts.ts';

/** A line with the shard that it goes to. */
export type RoutedToShard<L> = L & WithRow & { readonly shard: ShardIndex };

/** The ports for routing lines. */
export type LineRouterPorts = Pick<ServicePorts, 'routing' | 'hot'>;

/**
 * The row of an operation on a shard that has the flow of an id but does not own the id in the present layout. No row
 * is ever in this epoch, so nothing new is written there.
 */
export const EXISTING_IDS_ONLY: RowRef = { sub_row: 0, epoch: 2 ** 32 - 1 };
/** The pause before a layout that contradicts its rows is read again. */
const AGAIN_MS = 3;
const AGAIN_MS_MAX = 12;

/**
 * Finds the shard and the row of each line: by the slot when the SKU is not split, and by the id in the layout of a
 * split SKU. While flows may still lie where an earlier layout put them, those shards are read first. A redirect counts
 * for the next try.
 */
export class LineRouter<L extends FlowKey> {
  readonly #ports: LineRouterPorts;
  readonly #lines: readonly L[];
  /** The shards on which flows were found, by the key of the flow. */
  readonly #shardsFound = new Map<string, ShardIndex>();
  #refreshed = false;
  #reloads = 0;

  constructor(ports: LineRouterPorts, lines: readonly L[]) {
    this.#ports = ports;
    this.#lines = lines;
  }

  async route(deadlineMs: DeadlineMs): Promise<readonly RoutedToShard<L>[] | NotDone> {
    // Computed before the shards of earlier layouts are read. If the layout changes during that read, flows may lie on
    // shards that this read did not cover. The lines then carry the old epoch, and are rejected.
    const routed = this.#lines.map((line) => routeByLayout(this.#ports, line));
    const failure = await this.#findFlows(deadlineMs);
    return failure ?? routed.map((line) => this.#redirect(line));
  }

  /** Takes note of a redirect. @returns why another try is useless, or null */
  async applyRedirect(redirect: Misrouted, deadlineMs: DeadlineMs): Promise<NotDone | null> {
    if (performance.now() >= deadlineMs)
      return { is: 'not_done', reason: 'the layout of a SKU kept changing until the deadline' };
    switch (redirect.is) {
      case 'not_mine':
        if (this.#refreshed) return { is: 'not_done', reason: 'no shard reports that it owns the slot' };
        this.#refreshed = true;
        await this.#ports.routing.refresh();
        return null;
      case 'elsewhere':
        for (const { shard, ...key } of redirect.flows) this.#shardsFound.set(flowKeyText(key), shard);
        return null;
      case 'moved':
        this.#shardsFound.clear();
        for (const sku_id of new Set(redirect.sku_ids)) {
          const loaded = await this.#ports.hot.layouts.loadUsable(sku_id, deadlineMs);
          if (loaded.is === 'not_done') return loaded;
        }
        this.#reloads += 1;
        await pause(pauseMsOf(this.#reloads));
        return null;
    }
  }

  #redirect(line: RoutedToShard<L>): RoutedToShard<L> {
    const shard = this.#shardsFound.size === 0 ? undefined : this.#shardsFound.get(flowKeyText(line));
    return shard === undefined ? line : { ...line, shard, row: EXISTING_IDS_ONLY };
  }

  /** Reads the shards that ids had in earlier layouts, while those may have flows without a pointer. */
  async #findFlows(deadlineMs: DeadlineMs): Promise<NotDone | null> {
    const { layouts, locator } = this.#ports.hot;
    const lookUps = this.#lines.flatMap((line) => {
      if (this.#shardsFound.has(flowKeyText(line))) return [];
      return earlierShardsOf(layouts, line).map((shard) => locator.find(shard, line, deadlineMs));
    });
    if (lookUps.length === 0) return null;
    try {
      for (const found of await Promise.all(lookUps))
        if (found !== null) this.#shardsFound.set(flowKeyText(found), found.shard);
      return null;
    } catch (error) {
      if (error instanceof RowsUnavailable) return { is: 'not_done', reason: error.message };
      throw error;
    }
  }
}

/** The pause before the next try on a SKU's rows, in ms, after its layout was read again for the n-th time. */
export function pauseMsOf(reloads: number): number {
  return Math.min(AGAIN_MS_MAX, AGAIN_MS * reloads);
}

/**
 * The shards that an id had in earlier layouts, where its flow may lie without a pointer. The shard of the present
 * layout is not among them.
 */
export function earlierShardsOf(
  layouts: ServicePorts['hot']['layouts'],
  { sku_id, order_detail_id }: FlowKey,
): readonly ShardIndex[] {
  const layout = layouts.cached(sku_id);
  if (layout === null || layout.earlierPlacements.length === 0) return [];
  const shards = new Set(layout.earlierPlacements.map((places) => rowOfId(places, order_detail_id).shard));
  // The operation itself finds the key there.
  shards.delete(rowOfId(layout.placement, order_detail_id).shard);
  return [...shards];
}

/** The shard and row of a line by the cached layout, which may be stale. */
export function routeByLayout<L extends FlowKey>({ hot, routing }: LineRouterPorts, line: L): RoutedToShard<L> {
  const layout = hot.layouts.cachedForRequest(line.sku_id);
  if (layout === null) return { ...line, shard: routing.map.shardOf(line.sku_id) };
  const { shard, sub_row } = rowOfId(layout.placement, line.order_detail_id);
  return { ...line, shard, row: { sub_row, epoch: layout.epoch } };
}

/**
 * Runs work with the shard and row of each line. After a redirect it reads the slot map or the layout again, and runs
 * the work once more.
 *
 * @param work when it returns a redirect, it must have changed nothing
 * @param first the redirect that an earlier try returned
 */
export function withRouting<L extends FlowKey, T extends { readonly is: string }>(
  ports: LineRouterPorts,
  lines: readonly L[],
  deadlineMs: DeadlineMs,
  work: (routed: readonly RoutedToShard<L>[]) => Promise<T | Misrouted>,
  first: Misrouted | null = null,
): Promise<T | NotDone> {
  const router = new LineRouter(ports, lines);
  return untilRouted(
    router,
    deadlineMs,
    async () => {
      const routed = await router.route(deadlineMs);
      return 'is' in routed ? routed : work(routed);
    },
    first,
  );
}

/**
 * The same for an operation on a SKU as a whole. It goes to the first row, which lies at the slot's owner in every
 * layout.
 */
export function withFirstRow<T extends { readonly is: string }>(
  ports: LineRouterPorts,
  sku_id: string,
  deadlineMs: DeadlineMs,
  work: (shard: ShardIndex, routed: WithRow) => Promise<T | Misrouted>,
): Promise<T | NotDone> {
  return untilRouted(new LineRouter(ports, []), deadlineMs, () => {
    const layout = ports.hot.layouts.cachedForRequest(sku_id);
    return work(ports.routing.map.shardOf(sku_id), layout === null ? {} : { row: { sub_row: 0, epoch: layout.epoch } });
  });
}

async function untilRouted<L extends FlowKey, T extends { readonly is: string }>(
  router: LineRouter<L>,
  deadlineMs: DeadlineMs,
  work: () => Promise<T | Misrouted | NotDone>,
  first: Misrouted | null = null,
): Promise<T | NotDone> {
  for (let redirect = first; ;) {
    const failure = redirect === null ? null : await router.applyRedirect(redirect, deadlineMs);
    if (failure !== null) return failure;
    const answer = await work();
    if (!isMisrouted(answer)) return answer;
    redirect = answer;
  }
}

export function isMisrouted<T extends { readonly is: string }>(answer: T | Misrouted): answer is Misrouted {
  return answer.is === 'not_mine' || answer.is === 'moved' || answer.is === 'elsewhere';
}

/** Groups lines by the shard that they go to, each group in the order given. */
export function byShard<L extends { readonly shard: ShardIndex }>(routed: readonly L[]): Map<ShardIndex, L[]> {
  const groups = new Map<ShardIndex, L[]>();
  for (const line of routed) {
    const group = groups.get(line.shard);
    if (group === undefined) groups.set(line.shard, [line]);
    else group.push(line);
  }
  return groups;
}
