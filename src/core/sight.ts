import type { DeadlineMs, ShardIndex } from './nouns.ts';

/**
 * For so long a row that had nothing keeps what comes in from being sold, on a shard where a tier is on. Whoever knew the SKU as
 * sold out does not know it any more by then.
 */
export const SELLABLE_AFTER_MS = 1_000;

/**
 * For so long what is known may refuse, from when it was so. The rest is for clocks that do not go alike: a part in twenty is more
 * than any two do in a second.
 */
export const KNOWLEDGE_MS = 950;

/** What lies in one row of a SKU. */
export interface SeenRow {
  readonly shard: ShardIndex;
  readonly sub_row: number;
  readonly leaved_amount: number;
}

/** A SKU as it was at some moment, all its rows together: what tiers know. */
export interface Sight {
  readonly sku_id: string;
  /** Null: there is no such SKU. */
  readonly leaved_amount: number | null;
  /** Nothing left, nothing held, nothing on its way between rows: nobody can be sold anything until units come in. */
  readonly isEmpty: boolean;
  /** Raised by every change of any of its rows; of two sights the one with more is the later. */
  readonly version: number;
  readonly mode: 'single' | 'hot';
  readonly rows: readonly SeenRow[];
  /** It was just so at that moment of this gateway's monotonic clock, or later; never before it was asked for. */
  readonly asOfMs: DeadlineMs;
  /** Its rows were read at different moments: units that move may be missing or counted twice. Only of the shards' own. */
  readonly isApart?: boolean;
}

/** Something that knows SKUs. It may know nothing, and then says so; it must never say what is not so. */
export interface SightSource {
  /**
   * @returns of each SKU, in their order, what is known for certain; null: nothing
   * @throws when it cannot be asked, or does not answer in time
   */
  look(sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<readonly (Sight | null)[]>;
}

/** A source that learns from others. */
export interface SightStore extends SightSource {
  /** Remembers sights unless it knows later ones. Never throws: what is not remembered is asked for elsewhere. */
  note(sights: readonly Sight[]): Promise<void>;
}

/** Which of two sights of a SKU is the later. */
export function isLater(a: Pick<Sight, 'version' | 'asOfMs'>, b: Pick<Sight, 'version' | 'asOfMs'>): boolean {
  // A shard that lost commits has gone back to a version that it had before.
  return (
    a.asOfMs > b.asOfMs + KNOWLEDGE_MS || a.version > b.version || (a.version === b.version && a.asOfMs > b.asOfMs)
  );
}

/** Whether a sight may refuse whoever asks now. */
export function refusesAt({ isEmpty, asOfMs }: Sight, nowMs: DeadlineMs): boolean {
  return isEmpty && nowMs < asOfMs + KNOWLEDGE_MS;
}

/** What one look at a shard says of a SKU's rows there. */
export interface ShelfLook {
  readonly sku_id: string;
  readonly rows: readonly LookedRow[];
  /** Whether the shard owns the SKU's slot. */
  readonly isMine: boolean;
  /** Whether the shard has a record of how the SKU lies or lay in several rows: then it may have more elsewhere. */
  readonly hasLayout: boolean;
  /** Units that left rows here and are not known to have come to another. */
  readonly hasOpenTransfers: boolean;
  /** Nobody was changing any of its rows: they stood just so, and not only as far as others had committed. */
  readonly isCertain: boolean;
}

export interface LookedRow {
  readonly sub_row: number;
  readonly leaved_amount: number;
  readonly held_amount: number;
  readonly version: number;
}

/** Reads of the primaries what sights are made of. */
export interface ShelfLooker {
  /** False while new units of an empty row may be sold at once there: then nobody may be refused without asking. */
  isReady(shard: ShardIndex): boolean;
  /** @param isForSale shares the rows' locks for a moment, or nothing is certain @returns in the order asked; throws `LookFailed` when the shard cannot be read */
  lookAt(
    shard: ShardIndex,
    sku_ids: readonly string[],
    isForSale: boolean,
    deadlineMs: DeadlineMs,
  ): Promise<readonly ShelfLook[]>;
  /**
   * A page of the ids of all flows of a SKU on a shard, whatever became of them.
   *
   * @param after `next` of the previous page; empty: from the first
   * @returns `next`: where to go on; null: that was the last
   */
  readIds(
    shard: ShardIndex,
    sku_id: string,
    after: string,
    max: number,
    deadlineMs: DeadlineMs,
  ): Promise<{ readonly ids: readonly string[]; readonly next: string | null }>;
}

/** A shard could not be asked; the reason is for the log. */
export class LookFailed extends Error {}
