import type { Layout } from './layout.ts';
import type { RowState } from './moves.ts';
import type { DeadlineMs, FlowKey, FoundHold, ShardIndex, Transfer } from './nouns.ts';
import type { NotDone, ReadFailure } from './outcome.ts';

/** A layout as it stands; null: the SKU was never split. */
export interface FoundLayout {
  readonly is: 'found';
  readonly layout: Layout | null;
}

/** What became of a compare-and-set. `unsure`: it may stand; whoever needs to know reads the layout. */
export type Replaced = 'applied' | 'changed' | 'unsure';

/** How split SKUs lie; each layout on the shard that owns its SKU's slot. */
export interface Layouts {
  read(owner: ShardIndex, sku_id: string, deadlineMs: DeadlineMs): Promise<FoundLayout | ReadFailure>;

  /** Puts one layout in the place of another, if that still stands; one of revision 0 stands while there is none. */
  replace(owner: ShardIndex, was: Layout, is: Layout, deadlineMs: DeadlineMs): Promise<Replaced>;

  /** The same, for a layout of one row that becomes an ordinary one with it. @param version of the row, if it is to be as it was seen */
  replaceBySingle(
    owner: ShardIndex,
    was: Layout,
    is: Layout,
    version: number,
    deadlineMs: DeadlineMs,
  ): Promise<Replaced>;

  /** Takes on what somebody left unfinished: only one of many who ask at the same time gets it. @param staleMs how long nobody may have worked on it */
  takeOver(owner: ShardIndex, sku_id: string, staleMs: number, deadlineMs: DeadlineMs): Promise<boolean>;

  /** Notes that somebody is working on a layout, so that nobody takes it over. @returns false when it is another one by now */
  touch(owner: ShardIndex, layout: Layout, deadlineMs: DeadlineMs): Promise<boolean>;

  /** Lets one at a time bring units together. It is for speed alone: what it guards is right without it. @returns false while another has it */
  takeLease(
    owner: ShardIndex,
    sku_id: string,
    token: string,
    leaseMs: number,
    deadlineMs: DeadlineMs,
  ): Promise<boolean>;

  freeLease(owner: ShardIndex, sku_id: string, token: string, deadlineMs: DeadlineMs): Promise<void>;
}

/** A transfer whose units left and are not known to have come. */
export interface OpenTransfer extends Transfer {
  readonly ageMs: number;
}

/** The rows of a SKU on one shard at one moment, with what is on its way from there. */
export interface FoundRows {
  readonly is: 'found';
  readonly rows: readonly RowState[];
  readonly transfers: readonly OpenTransfer[];
}

/** Whether and from when a SKU is sold, as its rows have it. */
export interface SaleState {
  readonly state: 'on' | 'paused';
  /** By the clock of the shard, as it writes it; null: at once. */
  readonly from: string | null;
}

/** An id that stands on a shard; a pointer tells another shard. */
export interface StandingId extends FlowKey {
  readonly shard: ShardIndex;
}

/** A page of the ids that stand on a shard for good. */
export interface IdPage {
  readonly ids: readonly string[];
  /** Those that carts hold, so that they may yet be undone. */
  readonly pending: readonly string[];
  /** Where to go on, as the port says it; null: that was all. Ids that cannot be read are left out of the page. */
  readonly next: string | null;
}

/** SKUs on a shard about which somebody left something unfinished. */
export interface Untidy {
  readonly sku_ids: readonly string[];
}

/** A shard did not do what was asked of its rows, or did not say so. */
export class RowsAway extends Error {}

/**
 * The rows of split SKUs, shard by shard. Everything here can be done again, and by several at once; what throws `RowsAway` may
 * have happened or not.
 */
export interface HotRows {
  readRows(shard: ShardIndex, sku_id: string, deadlineMs: DeadlineMs): Promise<FoundRows | NotDone>;

  /** Makes rows that are not there yet, closed and without units. */
  prepare(
    shard: ShardIndex,
    sku_id: string,
    sub_rows: readonly number[],
    epoch: number,
    deadlineMs: DeadlineMs,
  ): Promise<void>;

  /** Closes rows for an epoch, unless they are in it or in a later one. @returns whether all of them are closed for it */
  close(
    shard: ShardIndex,
    sku_id: string,
    sub_rows: readonly number[],
    epoch: number,
    deadlineMs: DeadlineMs,
  ): Promise<boolean>;

  /** Opens rows in an epoch, unless they are in a later one. @returns whether all of them are open in it */
  open(
    shard: ShardIndex,
    sku_id: string,
    sub_rows: readonly number[],
    epoch: number,
    sale: SaleState,
    deadlineMs: DeadlineMs,
  ): Promise<boolean>;

  readSale(owner: ShardIndex, sku_id: string, deadlineMs: DeadlineMs): Promise<SaleState | null>;

  /** Notes that transfers have come in. */
  settleTransfers(shard: ShardIndex, transfers: readonly Transfer[], deadlineMs: DeadlineMs): Promise<void>;

  /** Who holds units of a SKU on a shard. */
  readHolds(shard: ShardIndex, sku_id: string, deadlineMs: DeadlineMs): Promise<readonly FoundHold[]>;

  /** Those of some ids that stand on a shard, undone holds left out. Right for rows that are closed: they take no ids any more. */
  findStanding(shard: ShardIndex, keys: readonly FlowKey[], deadlineMs: DeadlineMs): Promise<readonly StandingId[]>;

  /** @param after `next` of the previous page; empty: from the first id */
  readIds(shard: ShardIndex, sku_id: string, after: string, max: number, deadlineMs: DeadlineMs): Promise<IdPage>;

  /** Writes pointers where nothing stands under the ids. */
  point(
    shard: ShardIndex,
    sku_id: string,
    ids: readonly string[],
    movedTo: ShardIndex,
    deadlineMs: DeadlineMs,
  ): Promise<void>;

  /** Looks for layouts, closed rows with units and transfers that somebody left. */
  findUntidy(shard: ShardIndex, max: number, deadlineMs: DeadlineMs): Promise<Untidy>;
}
