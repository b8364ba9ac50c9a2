import type { Layout } from '../hot/layout.ts';
import type { ReadFailure } from '../outcome.ts';
import type { DeadlineMs, ShardIndex } from '../types.ts';

/** The stored layout of a SKU; null: the SKU was never split. */
export interface FoundLayout {
  readonly is: 'found';
  readonly layout: Layout | null;
}

/** The result of a compare-and-set. `unsure`: it is in doubt; reading the layout resolves it. */
export type ReplaceOutcome = 'applied' | 'changed' | 'unsure';

/** The layouts of split SKUs. Each is stored on the shard that owns the slot of its SKU. */
export interface Layouts {
  read(owner: ShardIndex, sku_id: string, deadlineMs: DeadlineMs): Promise<FoundLayout | ReadFailure>;

  /** Replaces the layout `was` by `is`, if `was` is still the stored one. Revision 0 means that none is stored. */
  replace(owner: ShardIndex, was: Layout, is: Layout, deadlineMs: DeadlineMs): Promise<ReplaceOutcome>;

  /**
   * Like `replace`, for a layout of one row: in the same transaction the row becomes an ordinary, unsplit one.
   *
   * @param version the version that the row must still have
   */
  replaceBySingle(
    owner: ShardIndex,
    was: Layout,
    is: Layout,
    version: number,
    deadlineMs: DeadlineMs,
  ): Promise<ReplaceOutcome>;

  /**
   * Claims an unfinished change of a layout. Of many gateways that ask at the same time, only one gets the claim.
   *
   * @param staleMs the time for which no gateway may have worked on the layout
   */
  claimUnfinished(owner: ShardIndex, sku_id: string, staleMs: number, deadlineMs: DeadlineMs): Promise<boolean>;

  /**
   * Records that a gateway is working on a layout, so that no other one takes it over.
   *
   * @returns false when another layout has replaced it
   */
  touch(owner: ShardIndex, layout: Layout, deadlineMs: DeadlineMs): Promise<boolean>;

  /**
   * Takes the rebalance lease of a SKU, which one gateway at a time can hold. The lease only saves work: rebalancing is
   * correct without it.
   *
   * @returns false while another gateway holds the lease
   */
  takeLease(
    owner: ShardIndex,
    sku_id: string,
    token: string,
    leaseMs: number,
    deadlineMs: DeadlineMs,
  ): Promise<boolean>;

  releaseLease(owner: ShardIndex, sku_id: string, token: string, deadlineMs: DeadlineMs): Promise<void>;
}
