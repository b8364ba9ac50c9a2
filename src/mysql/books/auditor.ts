import { expectedOf } from '../../core/books/books.ts';
import type { StockRowBalance } from '../../core/books/books.ts';
import type { CartKey, DeadlineMs, FlowKey, ShardIndex } from '../../core/types.ts';
import type { CartSalesPage } from '../../core/books/cartSales.ts';
import type { Adjust } from '../../core/operation.ts';
import type { NotDone, WrongShard, OutcomeInDoubt } from '../../core/outcome.ts';
import type { Auditor, RepairOutcome, SkuIdPage } from '../../core/ports/auditor.ts';
import type {
  CartPage,
  DecidedCart,
  DifferenceKind,
  ShardAudit,
  StockDifference,
  SoldFlow,
} from '../../core/books/reconciliation.ts';
import type { Connection } from '../connection/connection.ts';
import { repairJournal } from './repairJournal.ts';
import { commitChange } from '../connection/commitChange.ts';
import type { Shard } from '../shard.ts';
import { inSnapshot } from '../connection/snapshot.ts';
import type { Snapshot } from '../connection/snapshot.ts';
import { findHoldGaps, findReturnGaps } from '../sql/books/findGaps.ts';
import type { Gap } from '../sql/books/findGaps.ts';
import { findOverdueHolds } from '../sql/books/findOverdueHolds.ts';
import { readUnbalanced } from '../sql/books/readBalances.ts';
import { readJournalSkuIds, readSkuIds } from '../sql/books/readSkuIds.ts';
import { findRecentCarts, readDecidedCarts, readCommitDecisions } from '../sql/carts/readDecidedCarts.ts';
import type { CartPageQuery } from '../sql/carts/readDecidedCarts.ts';
import { readTransactionSales } from '../sql/carts/readCartSales.ts';
import { findRecentRecords, readOrderRecords, readRecordDecisions } from '../sql/carts/readOrderRecords.ts';
import type { RecordPageQuery, TransactionCart } from '../sql/carts/readOrderRecords.ts';
import { readFlowIds } from '../sql/flows/readFlowIds.ts';
import { findFlowsOfCarts, readFlowsByKey } from '../sql/flows/readFlows.ts';
import { findOverdueTransfers } from '../sql/books/findOverdueTransfers.ts';
import { readShardCounts } from '../sql/books/readShardCounts.ts';
import { whileServerAnswers } from '../connection/whileServerAnswers.ts';

/**
 * The auditor of shards in MySQL. An audit or a page of carts may take as long as its statements may, while the server
 * answers. Use pools of its own for it: a long read keeps its connection until it ends.
 */
export class ShardAuditor implements Auditor {
  readonly #shards: readonly Shard[];
  readonly #waitMs: number | undefined;

  /** @param waitMs the longest wait for one sum of a SKU's rows; if absent, as for any statement of the shards */
  constructor(shards: readonly Shard[], waitMs?: number) {
    this.#shards = shards;
    this.#waitMs = waitMs;
  }

  audit(shard: ShardIndex, sku_ids: readonly string[] | null, deadlineMs: DeadlineMs): Promise<ShardAudit> {
    return this.#lend(shard, deadlineMs, (connection) =>
      inSnapshot(connection, deadlineMs, (snapshot) => auditOf(snapshot, shard, sku_ids), this.#waitMs),
    );
  }

  readSkuIds(shard: ShardIndex, afterHex: string | null, max: number, deadlineMs: DeadlineMs): Promise<SkuIdPage> {
    return this.#lend(shard, deadlineMs, (connection) => readSkuIds(connection, afterHex, max, deadlineMs));
  }

  readJournalSkuIds(
    shard: ShardIndex,
    range: Parameters<Auditor['readJournalSkuIds']>[1],
    max: number,
    deadlineMs: DeadlineMs,
  ): Promise<SkuIdPage> {
    return this.#lend(shard, deadlineMs, (connection) =>
      readJournalSkuIds(connection, range, max, deadlineMs, this.#waitMs),
    );
  }

  readDecidedCarts(shard: ShardIndex, query: CartPageQuery, deadlineMs: DeadlineMs): Promise<CartPage> {
    return this.#lend(shard, deadlineMs, (connection) =>
      readDecidedCarts(connection, this.#shards.length, query, deadlineMs),
    );
  }

  readOrderRecords(shard: ShardIndex, query: RecordPageQuery, deadlineMs: DeadlineMs): Promise<CartPage<string>> {
    return this.#lend(shard, deadlineMs, (connection) =>
      readOrderRecords(connection, shard, this.#shards.length, query, deadlineMs, this.#waitMs),
    );
  }

  readDecisions(
    shard: ShardIndex,
    keys: readonly CartKey[],
    deadlineMs: DeadlineMs,
  ): Promise<readonly (CartKey & Pick<DecidedCart, 'state'>)[]> {
    return this.#readBothKinds(shard, keys, deadlineMs, readCommitDecisions, readRecordDecisions);
  }

  findFreshCarts(shard: ShardIndex, keys: readonly CartKey[], deadlineMs: DeadlineMs): Promise<readonly CartKey[]> {
    return this.#readBothKinds(shard, keys, deadlineMs, findRecentCarts, findRecentRecords);
  }

  readTransactionSales(
    shard: ShardIndex,
    query: Parameters<Auditor['readTransactionSales']>[1],
    deadlineMs: DeadlineMs,
  ): Promise<CartSalesPage> {
    return this.#lend(shard, deadlineMs, (connection) =>
      readTransactionSales(connection, query, deadlineMs, this.#waitMs),
    );
  }

  readFlows(shard: ShardIndex, keys: readonly FlowKey[], deadlineMs: DeadlineMs): Promise<readonly SoldFlow[]> {
    return this.#lend(shard, deadlineMs, (connection) => readFlowsByKey(connection, keys, deadlineMs));
  }

  findFlowsOfCarts(
    shard: ShardIndex,
    carts: readonly CartKey[],
    sku_ids: readonly string[] | null,
    deadlineMs: DeadlineMs,
  ): Promise<readonly SoldFlow[]> {
    return this.#lend(shard, deadlineMs, (connection) => findFlowsOfCarts(connection, carts, sku_ids, deadlineMs));
  }

  repair(
    shard: ShardIndex,
    adjustment: Adjust,
    deadlineMs: DeadlineMs,
  ): Promise<RepairOutcome | NotDone | WrongShard | OutcomeInDoubt> {
    return commitChange(this.#shard(shard), deadlineMs, repairJournal(adjustment));
  }

  /** Reads about carts with attempts and about transactions, each with its own statement. */
  async #readBothKinds<T>(
    shard: ShardIndex,
    keys: readonly CartKey[],
    deadlineMs: DeadlineMs,
    ofAttempts: (connection: Connection, keys: readonly CartKey[], deadlineMs: DeadlineMs) => Promise<T[]>,
    ofTransactions: (connection: Connection, keys: readonly TransactionCart[], deadlineMs: DeadlineMs) => Promise<T[]>,
  ): Promise<T[]> {
    // A damaged row may name any number as its coordinator.
    if (this.#shards[shard] === undefined) return [];
    const attempts = keys.filter(({ transaction }) => transaction === undefined);
    const transactions = keys.flatMap(({ transaction, ...key }) =>
      transaction === undefined ? [] : [{ ...key, transaction }],
    );
    return this.#lend(shard, deadlineMs, async (connection) => [
      ...(attempts.length === 0 ? [] : await ofAttempts(connection, attempts, deadlineMs)),
      ...(transactions.length === 0 ? [] : await ofTransactions(connection, transactions, deadlineMs)),
    ]);
  }

  #shard(index: ShardIndex): Shard {
    const shard = this.#shards[index];
    if (shard === undefined) throw new RangeError(`there is no shard ${index}`);
    return shard;
  }

  async #lend<T>(index: ShardIndex, deadlineMs: DeadlineMs, read: (connection: Connection) => Promise<T>): Promise<T> {
    const shard = this.#shard(index);
    const { pool } = shard;
    const connection = await pool.acquire(deadlineMs);
    try {
      const answer = await whileServerAnswers(shard, connection, () => read(connection));
      pool.release(connection);
      return answer;
    } catch (error) {
      pool.discard(connection);
      throw error;
    }
  }
}

async function auditOf(snapshot: Snapshot, shard: ShardIndex, sku_ids: readonly string[] | null): Promise<ShardAudit> {
  const counts = await readShardCounts(snapshot, sku_ids);
  const differences: StockDifference[] = [];
  for (const balance of await readUnbalanced(snapshot, sku_ids))
    differences.push(...(await ofBalance(snapshot, shard, balance)));
  for (const gap of await findReturnGaps(snapshot, sku_ids)) differences.push(ofGap('returned', shard, gap));
  for (const gap of await findHoldGaps(snapshot, sku_ids)) differences.push(ofGap('hold_row', shard, gap));
  for (const left of await findOverdueTransfers(snapshot, sku_ids))
    differences.push({
      kind: 'transfer_left',
      shard,
      ...left,
      expected: 0n,
      flow_count: 0,
      order_detail_ids: [],
      cart: null,
    });
  return { ...counts, differences, overdue: await findOverdueHolds(snapshot, sku_ids) };
}

async function ofBalance(snapshot: Snapshot, shard: ShardIndex, balance: StockRowBalance): Promise<StockDifference[]> {
  const { sku_id, sub_row, leaved, held, pending, flow_count, pending_count } = balance;
  const about = { shard, sku_id, ...(sub_row === 0 ? {} : { sub_row }) };
  const expected = expectedOf(balance);
  const found: StockDifference[] = [];
  if (leaved !== expected) {
    const order_detail_ids = await readFlowIds(snapshot, sku_id, 'newest');
    found.push({ kind: 'leaved_amount', ...about, expected, actual: leaved, flow_count, order_detail_ids, cart: null });
  }
  if (held !== pending) {
    const order_detail_ids = await readFlowIds(snapshot, sku_id, 'pending');
    found.push({
      kind: 'held_amount',
      ...about,
      expected: pending,
      actual: held,
      flow_count: pending_count,
      order_detail_ids,
      cart: null,
    });
  }
  return found;
}

function ofGap(kind: DifferenceKind, shard: ShardIndex, gap: Gap): StockDifference {
  return { kind, shard, ...gap, cart: null };
}
