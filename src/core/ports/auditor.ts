import type { CartSalesPage, SalePosition } from '../books/cartSales.ts';
import type { CartPage, CartPosition, DecidedCart, ShardAudit, SoldFlow } from '../books/reconciliation.ts';
import type { Adjust } from '../operation.ts';
import type { NotDone, OutcomeInDoubt, WrongShard } from '../outcome.ts';
import type { CartKey, DeadlineMs, FlowKey, ShardIndex } from '../types.ts';

/** The result of an attempt to repair a journal. */
export interface RepairOutcome {
  /** `changed`: the difference has changed, or there is no row; nothing was written. */
  readonly is: 'mended' | 'changed';
}

/** SKUs in the order of their ids' bytes. */
export interface SkuIdPage {
  readonly sku_ids: readonly string[];
  /** Ids that are not text, so that no caller can name them: each for operators. */
  readonly unreadable: readonly string[];
  /** The last id in hexadecimal digits; null: there is no further SKU. */
  readonly next: string | null;
}

/**
 * Compares a shard's tables with each other, and reads the rows that must be compared with other shards. It takes locks
 * only for a repair. Its reads throw when the shard cannot be read: rows that were not read do not count as correct.
 */
export interface Auditor {
  /** Checks SKUs in one snapshot. @param sku_ids null: all SKUs */
  audit(shard: ShardIndex, sku_ids: readonly string[] | null, deadlineMs: DeadlineMs): Promise<ShardAudit>;

  /**
   * Reads a page of the ids of all SKUs that have a stock row on the shard.
   *
   * @param afterHex `next` of the previous page; null: start with the first SKU
   */
  readSkuIds(shard: ShardIndex, afterHex: string | null, max: number, deadlineMs: DeadlineMs): Promise<SkuIdPage>;

  /**
   * Reads a page of the ids of all SKUs that have a row in another table than that of the stock. It may read all rows
   * of the SKUs in the range.
   *
   * @param range.lastHex the last id that is wanted; null: all
   */
  readJournalSkuIds(
    shard: ShardIndex,
    range: { readonly afterHex: string | null; readonly lastHex: string | null },
    max: number,
    deadlineMs: DeadlineMs,
  ): Promise<SkuIdPage>;

  /**
   * Reads a page of the records of decided carts, in the order of their keys.
   *
   * @param query.naming only records with a line of this SKU, or without lines; null: all records
   */
  readDecidedCarts(
    shard: ShardIndex,
    query: { readonly after: CartPosition | null; readonly max: number; readonly naming: string | null },
    deadlineMs: DeadlineMs,
  ): Promise<CartPage>;

  /**
   * Reads a page of the order records of committed transactions, in the order of their ids.
   *
   * @param query.after the transaction id of the last record of the previous page; null: start with the first record
   * @param query.naming only records with a line of this SKU; null: all records
   */
  readOrderRecords(
    shard: ShardIndex,
    query: { readonly after: string | null; readonly max: number; readonly naming: string | null },
    deadlineMs: DeadlineMs,
  ): Promise<CartPage<string>>;

  /**
   * Reads the commit decisions of some carts, of both kinds. Carts that are not decided are left out, and so are all
   * carts of a shard that does not exist.
   *
   * @param shard the shard of their records
   */
  readDecisions(
    shard: ShardIndex,
    keys: readonly CartKey[],
    deadlineMs: DeadlineMs,
  ): Promise<readonly (CartKey & Pick<DecidedCart, 'state'>)[]>;

  /**
   * Finds those of some carts, of both kinds, that are open or were decided only a moment ago. Their holds are not
   * overdue. A transaction without a record is not among them: its holds are older than a decision may take.
   */
  findFreshCarts(shard: ShardIndex, keys: readonly CartKey[], deadlineMs: DeadlineMs): Promise<readonly CartKey[]>;

  /** Reads those of some flows that exist, in any status. */
  readFlows(shard: ShardIndex, keys: readonly FlowKey[], deadlineMs: DeadlineMs): Promise<readonly SoldFlow[]>;

  /**
   * Reads a page of the lines that transactions sold on a shard and that were not cancelled.
   *
   * @param query.sku_ids only these SKUs, at least one; null: all SKUs
   */
  readTransactionSales(
    shard: ShardIndex,
    query: { readonly after: SalePosition | null; readonly max: number; readonly sku_ids: readonly string[] | null },
    deadlineMs: DeadlineMs,
  ): Promise<CartSalesPage>;

  /** Finds the flows that some carts with attempts sold. It scans all flows. @param sku_ids null: all SKUs */
  findFlowsOfCarts(
    shard: ShardIndex,
    carts: readonly CartKey[],
    sku_ids: readonly string[] | null,
    deadlineMs: DeadlineMs,
  ): Promise<readonly SoldFlow[]>;

  /**
   * Writes an adjustment that makes the journal equal to the stock row, if its delta is still the difference. The stock
   * row is not changed.
   */
  repair(
    shard: ShardIndex,
    adjustment: Adjust,
    deadlineMs: DeadlineMs,
  ): Promise<RepairOutcome | NotDone | WrongShard | OutcomeInDoubt>;
}
