/** The tables that make up the state of a shard. Only rows of completed holds are ever deleted from them. */
export const STATE_TABLES = [
  'stock',
  'hot_sku',
  'adjustment',
  'transfer',
  'cart',
  'flow',
  'flow_return',
  'cart_hold',
] as const;

export type StateTable = (typeof STATE_TABLES)[number];

/** Bytes and numbers, in the order of the table's key. */
export type StateKey = readonly (Buffer | number)[];

export type StateCell = Buffer | string | number | null;

/** A stored row of one of those tables. */
export interface StateRow {
  readonly key: StateKey;
  /** The same for rows that differ only in columns that count changes. */
  readonly state: string;
  readonly cells: Readonly<Record<string, StateCell>>;
}
