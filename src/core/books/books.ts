/** The sums of the journal for one stock row, and the units left in that row, read in one snapshot. */
export interface SkuBalance {
  readonly sku_id: string;
  readonly sub_row: number;
  readonly opening: bigint;
  readonly adjusted: bigint;
  readonly deducted: bigint;
  readonly returned: bigint;
  /** Units that came from other rows of the SKU, and went to them. */
  readonly moved_in: bigint;
  readonly moved_out: bigint;
  /** Units left, as the stock row has them. */
  readonly leaved: bigint;
  readonly flow_count: number;
}

/** A balance with the units that carts hold now: `pending` by the flows, `held` by the row. */
export interface StockRowBalance extends SkuBalance {
  readonly held: bigint;
  readonly pending: bigint;
  readonly pending_count: number;
}

/** A SKU whose stock row differs from its journal. */
export interface Difference {
  readonly sku_id: string;
  readonly leaved: bigint;
  readonly expected: bigint;
}

/** The sums over a set of SKUs, and each SKU that does not balance. */
export interface Books {
  readonly sku_count: number;
  readonly flow_count: number;
  readonly opening: bigint;
  readonly adjusted: bigint;
  readonly deducted: bigint;
  readonly returned: bigint;
  readonly leaved: bigint;
  readonly differences: readonly Difference[];
}

/** The units that should be left: opening + adjusted - deducted + returned + moved in - moved out (invariant I1). */
export function expectedOf(balance: SkuBalance): bigint {
  return (
    balance.opening + balance.adjusted - balance.deducted + balance.returned + balance.moved_in - balance.moved_out
  );
}

/** Adds up balances. A SKU is a difference when its row is below zero or differs from the journal. */
export function sumBooks(balances: readonly SkuBalance[]): Books {
  const sum = (amount: (balance: SkuBalance) => bigint): bigint =>
    balances.reduce((total, balance) => total + amount(balance), 0n);
  return {
    sku_count: new Set(balances.map(({ sku_id }) => sku_id)).size,
    flow_count: balances.reduce((total, balance) => total + balance.flow_count, 0),
    opening: sum((balance) => balance.opening),
    adjusted: sum((balance) => balance.adjusted),
    deducted: sum((balance) => balance.deducted),
    returned: sum((balance) => balance.returned),
    leaved: sum((balance) => balance.leaved),
    differences: balances
      .map((balance) => ({ sku_id: balance.sku_id, leaved: balance.leaved, expected: expectedOf(balance) }))
      .filter(({ leaved, expected }) => leaved < 0n || leaved !== expected),
  };
}
