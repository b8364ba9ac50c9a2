import type { Layout } from '../../core/layout.ts';
import type { DeadlineMs, ShardIndex } from '../../core/nouns.ts';
import { LookFailed } from '../../core/sight.ts';
import type { LookedRow, ShelfLook, ShelfLooker, Sight, SightSource } from '../../core/sight.ts';
import { sumUnits } from '../../core/units.ts';
import type { LayoutCache } from '../hot/layoutCache.ts';
import type { Routing } from '../routing.ts';

export interface PrimarySightsParts {
  readonly looker: ShelfLooker;
  readonly routing: Routing;
  readonly layouts: LayoutCache;
}

/** SKUs in one question to a shard. */
const SKUS_AT_A_TIME = 500;

/** The last source, which always knows: the shards themselves. A shard that cannot be asked makes nothing of its SKUs known. */
export class PrimarySights implements SightSource {
  readonly #parts: PrimarySightsParts;
  readonly #isForSale: boolean;

  /** @param isForSale whether orders are refused by what is seen; who only tells it locks nothing, and sees nothing as certainly empty */
  constructor(parts: PrimarySightsParts, isForSale: boolean) {
    this.#parts = parts;
    this.#isForSale = isForSale;
  }

  async look(sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<readonly (Sight | null)[]> {
    const sights = new Map<string, Sight>();
    const elsewhere = await this.#lookAtOwners(sku_ids, sights, deadlineMs);
    if (elsewhere.length > 0) {
      const refreshed = this.#parts.routing.refresh();
      // An order does not wait for the slot map: its shard decides.
      if (!this.#isForSale) await refreshed.then(() => this.#lookAtOwners(elsewhere, sights, deadlineMs));
    }
    return sku_ids.map((sku_id) => sights.get(sku_id) ?? null);
  }

  /** Adds to `sights`. @returns the SKUs that another shard owns */
  async #lookAtOwners(
    sku_ids: readonly string[],
    sights: Map<string, Sight>,
    deadlineMs: DeadlineMs,
  ): Promise<readonly string[]> {
    const asOfMs = performance.now();
    const wanted = new Map<ShardIndex, Set<string>>();
    for (const sku_id of sku_ids) {
      const shard = this.#parts.routing.map.shardOf(sku_id);
      const ofShard = wanted.get(shard);
      if (ofShard === undefined) wanted.set(shard, new Set([sku_id]));
      else ofShard.add(sku_id);
    }
    const elsewhere: string[] = [];
    await Promise.all(
      [...wanted].flatMap(([shard, ofShard]) =>
        inPieces([...ofShard]).map(async (piece) => {
          const found = await this.#lookAt(shard, piece, asOfMs, deadlineMs);
          for (const sight of found.sights) sights.set(sight.sku_id, sight);
          elsewhere.push(...found.elsewhere);
        }),
      ),
    );
    return elsewhere;
  }

  async #lookAt(
    shard: ShardIndex,
    sku_ids: readonly string[],
    asOfMs: DeadlineMs,
    deadlineMs: DeadlineMs,
  ): Promise<{ readonly sights: readonly Sight[]; readonly elsewhere: readonly string[] }> {
    const { looker } = this.#parts;
    const looks = await orNull(looker.lookAt(shard, sku_ids, this.#isForSale, deadlineMs));
    if (looks === null) return { sights: [], elsewhere: [] };
    const elsewhere = looks.filter(({ isMine }) => !isMine).map(({ sku_id }) => sku_id);
    const mine = looks.filter(({ isMine }) => isMine);
    const single = mine.filter(({ hasLayout }) => !hasLayout).map((look) => this.#single(shard, look, asOfMs));
    const split = await Promise.all(
      mine.filter(({ hasLayout }) => hasLayout).map(({ sku_id }) => this.#split(sku_id, deadlineMs)),
    );
    return { sights: [...single, ...split.flatMap((sight) => sight ?? [])], elsewhere };
  }

  #single(shard: ShardIndex, look: ShelfLook, asOfMs: DeadlineMs): Sight {
    return sightOf({
      sku_id: look.sku_id,
      mode: 'single',
      looks: [{ shard, look }],
      isReady: this.#parts.looker.isReady(shard),
      asOfMs,
    });
  }

  /** All rows on all shards where it ever had some, with the same layout before and after: units cannot have gone where nobody looked. */
  async #split(sku_id: string, deadlineMs: DeadlineMs): Promise<Sight | null> {
    const { looker } = this.#parts;
    const asOfMs = performance.now();
    const before = await this.#layoutOf(sku_id, deadlineMs);
    if (before === null) return null;
    const first = await this.#lookEverywhere(before, deadlineMs);
    const isLeft =
      first?.some(({ look }) => look.rows.some(({ leaved_amount, held_amount }) => leaved_amount + held_amount > 0)) ??
      false;
    // No two rows were read at the same moment: units may have gone from one that was not yet read to one that was. Seen twice alike, they were all so in between.
    const second = first === null || isLeft ? first : await this.#lookEverywhere(before, deadlineMs);
    const after = await this.#layoutOf(sku_id, deadlineMs);
    if (first === null || second === null) return null;
    const isMoved = after?.revision !== before.revision;
    if (isMoved && this.#isForSale) return null;
    const isReady = !isMoved && isAlike(first, second) && before.shards.every((shard) => looker.isReady(shard));
    const mode = before.places.length > 1 ? 'hot' : 'single';
    return { ...sightOf({ sku_id, mode, looks: second, isReady, asOfMs, places: before.places }), isApart: true };
  }

  /** @returns null when a shard could not be asked */
  async #lookEverywhere({ sku_id, shards }: Layout, deadlineMs: DeadlineMs): Promise<Looked[] | null> {
    const looks = await Promise.all(
      shards.map(async (shard) => ({
        shard,
        look: (await orNull(this.#parts.looker.lookAt(shard, [sku_id], this.#isForSale, deadlineMs)))?.[0],
      })),
    );
    const whole = looks.flatMap(({ shard, look }) => (look === undefined ? [] : [{ shard, look }]));
    return whole.length < looks.length ? null : whole;
  }

  async #layoutOf(sku_id: string, deadlineMs: DeadlineMs): Promise<Layout | null> {
    const loaded = await this.#parts.layouts.load(sku_id, deadlineMs);
    return loaded.is === 'layout' ? loaded.layout : null;
  }
}

interface Looked {
  readonly shard: ShardIndex;
  readonly look: ShelfLook;
}

/** Whether two looks at all rows saw the same, with nothing on its way in either. */
function isAlike(first: readonly Looked[], second: readonly Looked[]): boolean {
  const textOf = (looks: readonly Looked[]): string =>
    JSON.stringify(
      looks.map(({ shard, look }) => [shard, look.rows.map(({ sub_row, version }) => [sub_row, version])]),
    );
  return (
    [...first, ...second].every(({ look }) => look.isCertain && !look.hasOpenTransfers) &&
    textOf(first) === textOf(second)
  );
}

interface Seen {
  readonly sku_id: string;
  readonly mode: Sight['mode'];
  readonly looks: readonly Looked[];
  readonly isReady: boolean;
  readonly asOfMs: DeadlineMs;
  /** Of a SKU in several rows: where those are that count. */
  readonly places?: readonly ShardIndex[];
}

function sightOf({ sku_id, mode, looks, isReady, asOfMs, places }: Seen): Sight {
  const rows = looks.flatMap(({ shard, look }) => look.rows.map((row) => ({ ...row, shard })));
  const sum = (of: (row: LookedRow) => number): number => sumUnits(rows.map(of));
  const leaved = sum(({ leaved_amount }) => leaved_amount);
  const isCertain = looks.every(({ look }) => look.isCertain && !look.hasOpenTransfers);
  const isInPlace = ({ sub_row, shard }: { sub_row: number; shard: ShardIndex }): boolean =>
    places === undefined ? sub_row === 0 : places[sub_row] === shard;
  return {
    sku_id,
    leaved_amount: rows.length === 0 ? null : leaved,
    isEmpty: rows.length > 0 && isReady && isCertain && leaved + sum(({ held_amount }) => held_amount) === 0,
    version: sum(({ version }) => version),
    mode,
    rows: rows
      .filter(isInPlace)
      .map(({ shard, sub_row, leaved_amount }) => ({ shard, sub_row, leaved_amount }))
      .sort((a, b) => a.sub_row - b.sub_row),
    asOfMs,
  };
}

function inPieces(sku_ids: readonly string[]): string[][] {
  const pieces: string[][] = [];
  for (let place = 0; place < sku_ids.length; place += SKUS_AT_A_TIME)
    pieces.push(sku_ids.slice(place, place + SKUS_AT_A_TIME));
  return pieces;
}

async function orNull<T>(looking: Promise<T>): Promise<T | null> {
  try {
    return await looking;
  } catch (error) {
    if (error instanceof LookFailed) return null;
    throw error;
  }
}
