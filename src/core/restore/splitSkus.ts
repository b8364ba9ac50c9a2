import type { Layout } from '../hot/layout.ts';

/** A stock row that belongs or belonged to a layout. */
export interface SplitRow {
  readonly sku_id: string;
  readonly sub_row: number;
  readonly epoch: number;
  readonly isOpen: boolean;
}

/** The layout of a SKU that is or was split. */
export interface SplitLayout extends Pick<
  Layout,
  'state' | 'epoch' | 'lastEpoch' | 'placement' | 'earlierPlacements' | 'shards'
> {
  /** Milliseconds since 1970, by the clock of its shard. */
  readonly changedAtMs: number;
}

/** The rows of split SKUs on a shard, and the layouts of the SKUs whose slots the shard owns. */
export interface SplitSkus {
  readonly rows: readonly SplitRow[];
  readonly layouts: ReadonlyMap<string, SplitLayout>;
  /** Layouts that cannot be decoded. Missing rows of these SKUs may not be found. */
  readonly unreadable: readonly { readonly sku_id: string; readonly reason: string }[];
}
