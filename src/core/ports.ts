import type { SkuBalance } from './books.ts';
import type { JournalPosition, JournalRead } from './journal.ts';
import type { CartKey, CartLine, DeadlineMs, FlowKey, Hold, ShardIndex, CommitDecision } from './nouns.ts';
import type { Adjust, Operation, KeyWithRow } from './operation.ts';
import type {
  FoundFlows,
  FoundStock,
  Misrouted,
  NotDone,
  WrongShard,
  OutcomeOf,
  ReadFailure,
  OutcomeInDoubt,
} from './outcome.ts';
import type { CartPage, CartPosition, DecidedCart, ShardAudit, SoldFlow } from './reconciliation.ts';

/**
 * An engine: code that can deduct. The batching engine, the textbook engine and the in-memory oracle implement it. One
 * conformance suite (`test/conformance.test.ts`) runs over all of them.
 */
export interface StockEngine {
  /**
   * Carries out operations on one shard. Each operation is all or nothing by itself.
   *
   * @param shard the shard that owns the slots of all named SKUs, according to the caller's slot map.
   * @param operations independent operations; they may be carried out in any order.
   * @param deadlineMs the time when the callers stop waiting; later no work is begun.
   * @returns one outcome per operation, in the order of the operations.
   * @throws only on a programming error of its own
   */
  apply<O extends Operation>(
    shard: ShardIndex,
    operations: readonly O[],
    deadlineMs: DeadlineMs,
  ): Promise<readonly OutcomeOf<O>[]>;
}

/** Reads from the shard's primary. A result was true at some moment between the call and the answer. */
export interface StockReader {
  /** Reads flows. Waits for each transaction that is still in doubt about one of them. `keys` must not be empty. */
  findFlows(
    shard: ShardIndex,
    keys: readonly KeyWithRow[],
    deadlineMs: DeadlineMs,
  ): Promise<FoundFlows | NotDone | Misrouted>;

  /** Reads the units left of one SKU, and whether it is on sale. */
  readStock(shard: ShardIndex, sku_id: string, deadlineMs: DeadlineMs): Promise<FoundStock | ReadFailure>;
}

/** The part of a SKU's journal that one shard has. */
export interface FoundJournal {
  readonly is: 'found';
  readonly read: JournalRead;
}

/** Reads journals from the shard's primary. */
export interface JournalReader {
  /**
   * Reads some rows of one SKU's journal, newest first, in one snapshot.
   *
   * @param query `after` and `limit`: the position and the number of entries (`rowsMaxOf`); `holdsAfter` and
   *   `holdsMax`: the same for holds, by their order detail; `isAnyShard`: the shard need not own the slot
   */
  readJournal(
    shard: ShardIndex,
    query: {
      readonly sku_id: string;
      readonly after: JournalPosition | null;
      readonly limit: number;
      readonly holdsAfter: string;
      readonly holdsMax: number;
      readonly isAnyShard: boolean;
    },
    deadlineMs: DeadlineMs,
  ): Promise<FoundJournal | ReadFailure>;
}

export type CartState = 'open' | CommitDecision;

/** A record was written: the caller coordinates this attempt and decides it. */
export interface CartBegun {
  readonly is: 'begun';
  readonly attempt: number;
}

/** No record was written: the order's last attempt is open, or it sold exactly these lines. */
export interface CartExists {
  readonly is: 'open' | 'sold';
  readonly attempt: number;
}

/** The state of a cart record. */
export interface FoundCartState {
  readonly is: 'judged';
  readonly state: CartState;
}

/** The unfinished carts and holds on a shard. */
export interface UnfinishedCarts {
  readonly is: 'left_over';
  /** Carts open for longer than any coordinator may take, in no order. */
  readonly carts: readonly CartKey[];
  /** Holds older than a second, in no order. */
  readonly holds: readonly Hold[];
  readonly cartsOpen: number;
  readonly cartAgeMs: number;
  readonly holdsOpen: number;
  readonly holdAgeMs: number;
}

/**
 * The records of carts. Each is on the shard that owns the slot of its `order_id`. A change of its state is the commit
 * point of the cart.
 */
export interface CartRecords {
  /**
   * Writes the record of an order's next attempt, before any hold is sent.
   *
   * @param force write it also when the last attempt sold exactly these lines
   */
  begin(
    shard: ShardIndex,
    order: { readonly order_id: string; readonly lines: readonly CartLine[] },
    force: boolean,
    deadlineMs: DeadlineMs,
  ): Promise<CartBegun | CartExists | NotDone | WrongShard | OutcomeInDoubt>;

  /** Decides a cart by compare-and-set, for its coordinator. @returns the state of the record afterwards */
  decide(
    shard: ShardIndex,
    cart: CartKey,
    verdict: CommitDecision,
    deadlineMs: DeadlineMs,
  ): Promise<FoundCartState | NotDone | WrongShard | OutcomeInDoubt>;

  /**
   * Reads the state of a cart, for callers other than its coordinator. An abandoned cart is aborted first, and a
   * missing record is written as aborted.
   */
  resolve(
    shard: ShardIndex,
    cart: CartKey,
    deadlineMs: DeadlineMs,
  ): Promise<FoundCartState | NotDone | WrongShard | OutcomeInDoubt>;

  /** Finds carts and holds that must be completed or undone. @param max rows of each kind, at most */
  findUnfinished(shard: ShardIndex, max: number, deadlineMs: DeadlineMs): Promise<UnfinishedCarts | ReadFailure>;
}

/** A SKU to be opened. */
export interface OpeningStock {
  readonly sku_id: string;
  readonly leaved_amount: number;
}

/** All of the requested SKUs are open. */
export interface OpenedMany {
  readonly is: 'opened';
  /** SKUs that this call opened. */
  readonly openedNow: number;
  /** SKUs that were open with another opening stock, and that opening stock. They were not changed. */
  readonly conflicting: readonly OpeningStock[];
}

/** Opens many SKUs at a time, for the import of a whole catalogue. */
export interface StockOpener {
  /**
   * Opens all of some SKUs in one transaction.
   *
   * @param stocks at least one, no SKU twice, all of slots that this shard owns
   */
  openMany(
    shard: ShardIndex,
    stocks: readonly OpeningStock[],
    deadlineMs: DeadlineMs,
  ): Promise<OpenedMany | NotDone | WrongShard | OutcomeInDoubt>;
}

/** A slot that a shard has in its own table. Of two claims, the one with the higher epoch is the later. */
export interface SlotClaim {
  readonly slot: number;
  readonly epoch: number;
}

/** Reads the slots that shards own. */
export interface SlotSource {
  /** The slots that a shard owns; null when it does not answer within the deadline. */
  readSlots(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<readonly SlotClaim[] | null>;
}

/** The state of a shard, as this gateway sees it. */
export interface ShardState {
  readonly shard: ShardIndex;
  readonly name: string;
  /** `untried`: no connection was opened yet. `refused`: the shard does not meet the requirements. */
  readonly state: 'untried' | 'serving' | 'unreachable' | 'refused';
  /** The reason why the shard does not serve, or null. For operators: it may name hosts. */
  readonly reason: string | null;
  /** False: a power failure may lose commits on this shard. Null: not known yet. */
  readonly durable: boolean | null;
  /** `open`: the shard has not been answering, so requests to it fail at once. */
  readonly breaker: 'closed' | 'open';
  /** Retries of transactions so far. */
  readonly retries: number;
  readonly server_version: string | null;
  readonly pool: PoolState;
}

/** The state of a replica of a shard's primary. */
export interface ReplicaState {
  readonly host: string;
  readonly port: number;
  /**
   * `following`: it is read. `lagging`: its lag is above the limit. `silent`: it did not answer the last read.
   * `refused`: it does not meet the requirements. `unclear`: its heartbeat or the shard's clock does not show its lag.
   * `untried`: it was not read yet.
   */
  readonly state: 'following' | 'lagging' | 'silent' | 'refused' | 'unclear' | 'untried';
  /** The reason why it is not read; null when it is. */
  readonly reason: string | null;
  /** The age of its data at the last read, at most. */
  readonly lagMs: number | null;
}

/** The state of a shard's connection pool at one moment. */
export interface PoolState {
  readonly connections_max: number;
  readonly open: number;
  readonly busy: number;
  readonly waiting: number;
  readonly waiting_max: number;
}

/** The states of the shards, for operators. */
export interface ShardOverview {
  shards(): readonly ShardState[];
  /** False when answers from this shard must name the weaker durability (I11). */
  isDurable(shard: ShardIndex): boolean;
}

/** Reads a shard's books. */
export interface BookReader {
  /** @throws when the shard cannot be read: books that were not read do not count as balanced. */
  readBalances(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<readonly SkuBalance[]>;
}

/** The result of an attempt to repair a journal. */
export interface RepairOutcome {
  /** `changed`: the difference has changed, or there is no row; nothing was written. */
  readonly is: 'mended' | 'changed';
}

/**
 * Compares a shard's tables with each other, and reads the rows that must be compared with other shards. It takes locks
 * only for a repair. Its reads throw when the shard cannot be read: rows that were not read do not count as correct.
 */
export interface Auditor {
  /** Checks SKUs in one snapshot. @param sku_ids null: all SKUs */
  audit(shard: ShardIndex, sku_ids: readonly string[] | null, deadlineMs: DeadlineMs): Promise<ShardAudit>;

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

  /** Reads the commit decisions of some carts. Carts that are not decided are left out. */
  readDecisions(
    shard: ShardIndex,
    keys: readonly CartKey[],
    deadlineMs: DeadlineMs,
  ): Promise<readonly (CartKey & Pick<DecidedCart, 'state'>)[]>;

  /** Finds those of some carts that are open, or were decided only a moment ago. Their holds are not overdue. */
  findFreshCarts(shard: ShardIndex, keys: readonly CartKey[], deadlineMs: DeadlineMs): Promise<readonly CartKey[]>;

  /** Reads those of some flows that exist, in any status. */
  readFlows(shard: ShardIndex, keys: readonly FlowKey[], deadlineMs: DeadlineMs): Promise<readonly SoldFlow[]>;

  /** Finds the flows that some carts sold. It scans all flows. @param sku_ids null: all SKUs */
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
