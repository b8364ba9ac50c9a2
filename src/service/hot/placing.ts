import { RowsAway } from '../../core/hotPorts.ts';
import { homeOf } from '../../core/layout.ts';
import { flowKeyText } from '../../core/nouns.ts';
import type { DeadlineMs, FlowKey, Placed, RowRef, ShardIndex } from '../../core/nouns.ts';
import type { Misplaced, NotDone } from '../../core/outcome.ts';
import { pause } from '../freeHolds.ts';
import type { Parts } from '../parts.ts';

/** Something about a SKU, with the shard it goes to. */
export type At<L> = L & Placed & { readonly shard: ShardIndex };

/** What the placing of lines works with. */
export type PlacingParts = Pick<Parts, 'routing' | 'hot'>;

/** Named for what stands under ids that are at home elsewhere now: no row is ever in this epoch, so nothing new is written there. */
export const PAST: RowRef = { sub_row: 0, epoch: 2 ** 32 - 1 };
/** Before a layout that contradicts its rows is read again. */
const AGAIN_MS = 3;
const AGAIN_MS_MAX = 12;

/**
 * Finds the shard and the row of each line: by the slot where the SKU is not split; by the id in its layout; and where ids of
 * earlier layouts may stand, by asking where they would. What is learnt from a wrong place counts for the next try.
 */
export class Placing<L extends FlowKey> {
  readonly #parts: PlacingParts;
  readonly #lines: readonly L[];
  /** Where the flows of some ids stand. */
  readonly #standing = new Map<string, ShardIndex>();
  #refreshed = false;
  #moves = 0;

  constructor(parts: PlacingParts, lines: readonly L[]) {
    this.#parts = parts;
    this.#lines = lines;
  }

  async place(deadlineMs: DeadlineMs): Promise<readonly At<L>[] | NotDone> {
    // Thought of before earlier homes are asked: while they answer, another layout may come, and ids stand where that had them asked.
    const homes = this.#lines.map((line) => placeByLayout(this.#parts, line));
    const failure = await this.#findStanding(deadlineMs);
    return failure ?? homes.map((home) => this.#placeOne(home));
  }

  /** @returns why it is no use to try again, or null */
  async learn(misplaced: Misplaced, deadlineMs: DeadlineMs): Promise<NotDone | null> {
    if (performance.now() >= deadlineMs)
      return { is: 'not_done', reason: 'the rows of a SKU moved for the whole time' };
    switch (misplaced.is) {
      case 'not_mine':
        if (this.#refreshed) return { is: 'not_done', reason: 'no shard says that it owns the slot' };
        this.#refreshed = true;
        await this.#parts.routing.refresh();
        return null;
      case 'elsewhere':
        for (const { shard, ...key } of misplaced.flows) this.#standing.set(flowKeyText(key), shard);
        return null;
      case 'moved':
        this.#standing.clear();
        for (const sku_id of new Set(misplaced.sku_ids)) {
          const loaded = await this.#parts.hot.layouts.loadUsable(sku_id, deadlineMs);
          if (loaded.is === 'not_done') return loaded;
        }
        this.#moves += 1;
        await pause(pauseMsOf(this.#moves));
        return null;
    }
  }

  #placeOne(home: At<L>): At<L> {
    const standing = this.#standing.size === 0 ? undefined : this.#standing.get(flowKeyText(home));
    return standing === undefined ? home : { ...home, shard: standing, row: PAST };
  }

  /** Asks the homes that ids had in earlier layouts, where those may hold what nothing points to yet. */
  async #findStanding(deadlineMs: DeadlineMs): Promise<NotDone | null> {
    const { layouts, locator } = this.#parts.hot;
    const asked = this.#lines.flatMap((line) => {
      if (this.#standing.has(flowKeyText(line))) return [];
      return earlierHomesOf(layouts, line).map((shard) => locator.find(shard, line, deadlineMs));
    });
    if (asked.length === 0) return null;
    try {
      for (const found of await Promise.all(asked))
        if (found !== null) this.#standing.set(flowKeyText(found), found.shard);
      return null;
    } catch (error) {
      if (error instanceof RowsAway) return { is: 'not_done', reason: error.message };
      throw error;
    }
  }
}

/** The pause before a SKU's rows are asked again, after its layout was read for the n-th time. */
export function pauseMsOf(moves: number): number {
  return Math.min(AGAIN_MS_MAX, AGAIN_MS * moves);
}

/** The shards where earlier layouts had an id, and where it may stand without a pointer; its present home is not among them. */
export function earlierHomesOf(
  layouts: Parts['hot']['layouts'],
  { sku_id, order_detail_id }: FlowKey,
): readonly ShardIndex[] {
  const layout = layouts.known(sku_id);
  if (layout === null || layout.earlier.length === 0) return [];
  const homes = new Set(layout.earlier.map((places) => homeOf(places, order_detail_id).shard));
  // There its key would be found anyway.
  homes.delete(homeOf(layout.places, order_detail_id).shard);
  return [...homes];
}

/** Where a line is at home, as far as this gateway knows. */
export function placeByLayout<L extends FlowKey>({ hot, routing }: PlacingParts, line: L): At<L> {
  const layout = hot.layouts.forUse(line.sku_id);
  if (layout === null) return { ...line, shard: routing.map.shardOf(line.sku_id) };
  const { shard, sub_row } = homeOf(layout.places, line.order_detail_id);
  return { ...line, shard, row: { sub_row, epoch: layout.epoch } };
}

/**
 * Does something where its lines are at home; when it was the wrong place, what is known is brought up to date and it is done once more.
 *
 * @param work a misplaced answer from it must mean that nothing was done
 * @param first what an earlier try ended with
 */
export function onHomes<L extends FlowKey, T extends { readonly is: string }>(
  parts: PlacingParts,
  lines: readonly L[],
  deadlineMs: DeadlineMs,
  work: (placed: readonly At<L>[]) => Promise<T | Misplaced>,
  first: Misplaced | null = null,
): Promise<T | NotDone> {
  const placing = new Placing(parts, lines);
  return untilPlaced(
    placing,
    deadlineMs,
    async () => {
      const placed = await placing.place(deadlineMs);
      return 'is' in placed ? placed : work(placed);
    },
    first,
  );
}

/** The same for what is about a SKU as a whole: it goes to its first row, which is at the slot's owner in every layout. */
export function onFirstRow<T extends { readonly is: string }>(
  parts: PlacingParts,
  sku_id: string,
  deadlineMs: DeadlineMs,
  work: (shard: ShardIndex, placed: Placed) => Promise<T | Misplaced>,
): Promise<T | NotDone> {
  return untilPlaced(new Placing(parts, []), deadlineMs, () => {
    const layout = parts.hot.layouts.forUse(sku_id);
    return work(parts.routing.map.shardOf(sku_id), layout === null ? {} : { row: { sub_row: 0, epoch: layout.epoch } });
  });
}

async function untilPlaced<L extends FlowKey, T extends { readonly is: string }>(
  placing: Placing<L>,
  deadlineMs: DeadlineMs,
  work: () => Promise<T | Misplaced | NotDone>,
  first: Misplaced | null = null,
): Promise<T | NotDone> {
  for (let misplaced = first; ;) {
    const failure = misplaced === null ? null : await placing.learn(misplaced, deadlineMs);
    if (failure !== null) return failure;
    const answer = await work();
    if (!isMisplaced(answer)) return answer;
    misplaced = answer;
  }
}

export function isMisplaced<T extends { readonly is: string }>(answer: T | Misplaced): answer is Misplaced {
  return answer.is === 'not_mine' || answer.is === 'moved' || answer.is === 'elsewhere';
}

/** Lines by the shard they go to, each group in the order given. */
export function byShard<L extends { readonly shard: ShardIndex }>(placed: readonly L[]): Map<ShardIndex, L[]> {
  const groups = new Map<ShardIndex, L[]>();
  for (const line of placed) {
    const group = groups.get(line.shard);
    if (group === undefined) groups.set(line.shard, [line]);
    else group.push(line);
  }
  return groups;
}
