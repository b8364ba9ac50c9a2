/**
 * The tables that make up the state of a shard. Only undecided rows (`isUndecided`) are ever deleted from them. The
 * table of aborted records that are to be deleted is no state.
 */
export const STATE_TABLES = [
  'stock',
  'hot_sku',
  'adjustment',
  'transfer',
  'cart',
  'order_record',
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

/** A row, and its table. */
export interface TableRow {
  readonly table: StateTable;
  readonly row: Pick<StateRow, 'cells'>;
}

/**
 * Whether a row binds nothing, so that a restored shard may lack it, or have it although the reference copy lacks it: a
 * held or void flow, the row of a hold, an aborted record.
 */
export function isUndecided({ table, row: { cells } }: TableRow): boolean {
  if (table === 'flow') return cells['status'] === 'pending' || cells['status'] === 'void';
  return table === 'cart_hold' || isAbortedRecord({ table, row: { cells } });
}

/** Whether a row is an aborted order record. No record means the same, so it is deleted after a minute. */
export function isAbortedRecord({ table, row: { cells } }: TableRow): boolean {
  return table === 'order_record' && cells['state'] === 'aborted';
}
