import type { ShardIndex } from './types.ts';

/** The kinds of rows that can be damaged: a value cannot be decoded, or names something that does not exist. */
export const UNREADABLE_KINDS = ['cart', 'hold', 'layout', 'transfer', 'flow', 'sku'] as const;

export type UnreadableKind = (typeof UNREADABLE_KINDS)[number];

/** A row that is skipped because it cannot be decoded. The other rows are processed as usual. */
export interface UnreadableRow {
  readonly kind: UnreadableKind;
  readonly shard: ShardIndex;
  /** The ids that name the row, for operators. */
  readonly row: string;
  /** The value found, and the form expected. */
  readonly reason: string;
}

/** Reports a row that cannot be decoded. It may be called each time that the row is found. */
export type ReportUnreadable = (row: UnreadableRow) => void;
