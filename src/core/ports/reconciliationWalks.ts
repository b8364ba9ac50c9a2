import type { StockDifference } from '../books/reconciliation.ts';
import type { DeadlineMs, ShardIndex } from '../types.ts';

/** How far the continuous reconciliation of a shard has come. */
export interface ReconciliationWalk {
  /** The last SKU that was compared, in hexadecimal digits; null: the round begins. */
  readonly afterSkuHex: string | null;
  /** The last order record that was compared, in hexadecimal digits; null: the first one is next. */
  readonly afterRecordHex: string | null;
  /** SKUs that were compared in this round. */
  readonly roundSkus: number;
  /** SKUs of the last complete round; null: there was none. */
  readonly lastRoundSkus: number | null;
  /** End of the last complete round in milliseconds since 1970, by the clock of the shard; null: there was none. */
  readonly lastRoundMs: number | null;
  /** Differences that were there when they were last read. */
  readonly open: readonly StockDifference[];
}

/** The process has the right. */
export interface WalkTaken {
  readonly is: 'taken';
  readonly walk: ReconciliationWalk;
}

/** The position was stored, and the right was renewed. */
export interface WalkStored {
  readonly is: 'stored';
  readonly lastRoundMs: number | null;
}

/** Nothing was stored. */
export interface WalkNotStored {
  readonly is: 'lost' | 'not_stored';
}

/**
 * The right to reconcile a shard continuously, which one process at a time has, and the position that the next one
 * continues from. The right ends by itself when it is not renewed.
 */
export interface ReconciliationWalks {
  /**
   * Takes or renews the right.
   *
   * @param token names the process
   * @returns `lost`: another process has it. `not_stored`: the shard cannot be written now, or its schema is too old.
   */
  take(shard: ShardIndex, token: string, deadlineMs: DeadlineMs): Promise<WalkTaken | WalkNotStored>;

  /**
   * Stores the position and renews the right.
   *
   * @param isRoundEnd the round has just ended: its end becomes `lastRoundMs`
   * @returns `lost`: another process has the right, and nothing was stored. `not_stored`: it may not be stored.
   */
  store(
    shard: ShardIndex,
    token: string,
    walk: ReconciliationWalk,
    isRoundEnd: boolean,
    deadlineMs: DeadlineMs,
  ): Promise<WalkStored | WalkNotStored>;

  /** Gives the right back. If that fails, it ends by itself. */
  release(shard: ShardIndex, token: string, deadlineMs: DeadlineMs): Promise<void>;
}
