import type { RowState } from '../hot/rebalancePlan.ts';
import type { NotDone } from '../outcome.ts';
import type { DeadlineMs, FlowKey, FoundHold, ShardIndex, Transfer } from '../types.ts';

/** A transfer with a committed debit whose credit is not recorded as committed. */
export interface OpenTransfer extends Transfer {
  readonly ageMs: number;
}

/** The rows of a SKU on one shard at one moment, and the open transfers that left them. */
export interface FoundRows {
  readonly is: 'found';
  readonly rows: readonly RowState[];
  readonly transfers: readonly OpenTransfer[];
}

/** Whether and from when a SKU is sold, as its rows store it. */
export interface SaleState {
  readonly state: 'on' | 'paused';
  /** By the clock of the shard, in the form that the shard writes; null: at once. */
  readonly from: string | null;
}

/** An id that exists, and the shard that has its flow. For a pointer that is the shard that the pointer names. */
export interface ExistingId extends FlowKey {
  readonly shard: ShardIndex;
}

/** A page of the ids of a SKU that exist on a shard. */
export interface IdPage {
  readonly ids: readonly string[];
  /** The ids that carts hold. Their holds may still be undone. */
  readonly pending: readonly string[];
  /** The position of the next page; null: there is none. Ids that cannot be decoded are left out of the page. */
  readonly next: string | null;
}

/** SKUs on a shard that have unfinished work. */
export interface UnfinishedSkus {
  readonly sku_ids: readonly string[];
}

/** A shard did not carry out a call on its rows, or did not answer it. */
export class RowsUnavailable extends Error {}

/**
 * The rows of split SKUs, shard by shard. Every call can be repeated, and several gateways can make it at once. A call
 * that throws `RowsUnavailable` may or may not have had its effect.
 */
export interface HotRows {
  readRows(shard: ShardIndex, sku_id: string, deadlineMs: DeadlineMs): Promise<FoundRows | NotDone>;

  /** Creates the rows that do not exist yet, closed and without units. */
  createRows(
    shard: ShardIndex,
    sku_id: string,
    sub_rows: readonly number[],
    epoch: number,
    deadlineMs: DeadlineMs,
  ): Promise<void>;

  /**
   * Closes rows for an epoch. A row of this epoch or a later one stays as it is.
   *
   * @returns whether all of them are closed for the epoch
   */
  close(
    shard: ShardIndex,
    sku_id: string,
    sub_rows: readonly number[],
    epoch: number,
    deadlineMs: DeadlineMs,
  ): Promise<boolean>;

  /**
   * Opens rows in an epoch. A row of a later epoch stays as it is.
   *
   * @returns whether all of them are open in the epoch
   */
  open(
    shard: ShardIndex,
    sku_id: string,
    sub_rows: readonly number[],
    epoch: number,
    sale: SaleState,
    deadlineMs: DeadlineMs,
  ): Promise<boolean>;

  readSale(owner: ShardIndex, sku_id: string, deadlineMs: DeadlineMs): Promise<SaleState | null>;

  /** Records that the credits of transfers are committed. */
  clearTransfers(shard: ShardIndex, transfers: readonly Transfer[], deadlineMs: DeadlineMs): Promise<void>;

  /** The holds of a SKU on a shard. */
  readHolds(shard: ShardIndex, sku_id: string, deadlineMs: DeadlineMs): Promise<readonly FoundHold[]>;

  /**
   * Those of some ids that exist on a shard, without undone holds. The answer stays right only for closed rows, because
   * they take no new ids.
   */
  findExisting(shard: ShardIndex, keys: readonly FlowKey[], deadlineMs: DeadlineMs): Promise<readonly ExistingId[]>;

  /** @param after `next` of the previous page; empty: start with the first id */
  readIds(shard: ShardIndex, sku_id: string, after: string, max: number, deadlineMs: DeadlineMs): Promise<IdPage>;

  /** Writes pointers for those ids that have no flow on the shard. */
  writePointers(
    shard: ShardIndex,
    sku_id: string,
    ids: readonly string[],
    movedTo: ShardIndex,
    deadlineMs: DeadlineMs,
  ): Promise<void>;

  /** Finds SKUs with unfinished layouts, units in closed rows, or open transfers. */
  findUnfinished(shard: ShardIndex, max: number, deadlineMs: DeadlineMs): Promise<UnfinishedSkus>;
}
