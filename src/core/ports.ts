import type { SkuBalance } from './books.ts';
import type { JournalPosition, JournalRead } from './journal.ts';
import type { CartKey, CartLine, DeadlineMs, FlowKey, Hold, ShardIndex, Verdict } from './nouns.ts';
import type { Adjust, Operation, PlacedKey } from './operation.ts';
import type {
  FoundFlows,
  FoundStock,
  Misplaced,
  NotDone,
  NotMine,
  OutcomeOf,
  ReadFailure,
  Unknown,
} from './outcome.ts';
import type { CartPage, CartPosition, DecidedCart, ShardAudit, SoldFlow } from './reconciliation.ts';

/**
 * Something that can deduct. The textbook engine and the in-memory oracle stand behind it today; one conformance suite
 * (`test/conformance.test.ts`) runs over all of them.
 */
export interface StockEngine {
  /**
   * Carries out operations whose SKUs all lie on one shard, each all or nothing by itself.
   *
   * @param shard the shard that owns the slots of all SKUs named, as far as the caller knows
   * @param operations independent of one another; their order is not promised
   * @param deadlineMs when the callers stop waiting; work that has not begun by then is not begun
   * @returns one outcome per operation, in their order. It throws only on a fault of its own.
   */
  apply<O extends Operation>(
    shard: ShardIndex,
    operations: readonly O[],
    deadlineMs: DeadlineMs,
  ): Promise<readonly OutcomeOf<O>[]>;
}

/** Reads from the shard's primary. What it says was true at some moment between call and answer. */
export interface StockReader {
  /**
   * Looks up flows; waits for any transaction that is still undecided about one of them. `keys` must not be empty.
   */
  findFlows(
    shard: ShardIndex,
    keys: readonly PlacedKey[],
    deadlineMs: DeadlineMs,
  ): Promise<FoundFlows | NotDone | Misplaced>;

  /** Reads what is left of one SKU, and whether it is on sale. */
  readStock(shard: ShardIndex, sku_id: string, deadlineMs: DeadlineMs): Promise<FoundStock | ReadFailure>;
}

/** What a shard says of a SKU's journal. */
export interface FoundJournal {
  readonly is: 'found';
  readonly read: JournalRead;
}

/** Reads journals from the shard's primary. */
export interface JournalReader {
  /**
   * Reads a stretch of one SKU's journal, newest first, in one snapshot.
   *
   * @param query after which position, and how many entries (`rowsMaxOf`); and the same of holds, by their order detail;
   *   `isBesides`: the shard need not own the slot
   */
  readJournal(
    shard: ShardIndex,
    query: {
      readonly sku_id: string;
      readonly after: JournalPosition | null;
      readonly limit: number;
      readonly holdsAfter: string;
      readonly holdsMax: number;
      readonly isBesides: boolean;
    },
    deadlineMs: DeadlineMs,
  ): Promise<FoundJournal | ReadFailure>;
}

export type CartState = 'open' | Verdict;

/** A record was written: this attempt is the caller's to decide. */
export interface CartBegun {
  readonly is: 'begun';
  readonly attempt: number;
}

/** No record was written, because of the order's last attempt: it is open, or it sold these very lines. */
export interface CartStands {
  readonly is: 'open' | 'sold';
  readonly attempt: number;
}

/** What a record says when it has been asked. */
export interface CartJudged {
  readonly is: 'judged';
  readonly state: CartState;
}

/** What carts have left over on a shard. */
export interface LeftOver {
  readonly is: 'left_over';
  /** Open for longer than any coordinator may take, in no order. */
  readonly carts: readonly CartKey[];
  /** Held for more than a second, in no order. */
  readonly holds: readonly Hold[];
  readonly cartsOpen: number;
  readonly cartAgeMs: number;
  readonly holdsOpen: number;
  readonly holdAgeMs: number;
}

/** The records of carts. One lies on the shard that owns the slot of its order's id; its state is the cart's commit point. */
export interface CartRecords {
  /**
   * Writes the record of an order's next attempt, before any hold leaves.
   *
   * @param force also when the last attempt sold these very lines
   */
  begin(
    shard: ShardIndex,
    order: { readonly order_id: string; readonly lines: readonly CartLine[] },
    force: boolean,
    deadlineMs: DeadlineMs,
  ): Promise<CartBegun | CartStands | NotDone | NotMine | Unknown>;

  /** Decides a cart by compare-and-set, for its coordinator. @returns the state that stands then */
  decide(
    shard: ShardIndex,
    cart: CartKey,
    verdict: Verdict,
    deadlineMs: DeadlineMs,
  ): Promise<CartJudged | NotDone | NotMine | Unknown>;

  /** Asks for a cart's state, for anybody else: an abandoned one is aborted, a missing one is written as aborted. */
  judge(shard: ShardIndex, cart: CartKey, deadlineMs: DeadlineMs): Promise<CartJudged | NotDone | NotMine | Unknown>;

  /** Looks for what is to be finished or undone. @param max rows of each kind, at most */
  findLeftOver(shard: ShardIndex, max: number, deadlineMs: DeadlineMs): Promise<LeftOver | ReadFailure>;
}

/** A SKU that is to be put on the shelf. */
export interface OpeningStock {
  readonly sku_id: string;
  readonly leaved_amount: number;
}

/** Each of some SKUs stands now. */
export interface OpenedMany {
  readonly is: 'opened';
  /** Those that did not stand before. */
  readonly openedNow: number;
  /** Those that stood with another opening stock, with that one; they are as they were. */
  readonly otherwise: readonly OpeningStock[];
}

/** Opens SKUs many at a time: for who brings a whole catalogue. */
export interface StockOpener {
  /** @param stocks at least one, no SKU twice, all at home on this shard; all of them in one transaction */
  openMany(
    shard: ShardIndex,
    stocks: readonly OpeningStock[],
    deadlineMs: DeadlineMs,
  ): Promise<OpenedMany | NotDone | NotMine | Unknown>;
}

/** A slot as its owner's own table has it. The higher epoch is the later owner. */
export interface SlotClaim {
  readonly slot: number;
  readonly epoch: number;
}

/** Where the shards say which slots they own. */
export interface SlotSource {
  /** The slots a shard owns, or null when it does not answer within the deadline. */
  readSlots(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<readonly SlotClaim[] | null>;
}

/** How a shard stands, as far as this gateway can tell. */
export interface ShardState {
  readonly shard: ShardIndex;
  readonly name: string;
  /** `untried` until a first connection was opened; `refused` when the shard cannot be served as it is. */
  readonly state: 'untried' | 'serving' | 'unreachable' | 'refused';
  /** What stands in the way, when something does. For operators: it may name hosts. */
  readonly reason: string | null;
  /** False when commits on this shard may be lost with the power; null while nobody knows. */
  readonly durable: boolean | null;
  /** Open: the shard has not been answering, so nobody is made to wait for it. */
  readonly breaker: 'closed' | 'open';
  /** Transactions tried again so far. */
  readonly retries: number;
  readonly server_version: string | null;
  readonly pool: PoolState;
}

/** How a server that follows a shard's primary stands. */
export interface ReplicaState {
  readonly host: string;
  readonly port: number;
  /**
   * `following`: it may be asked. `lagging`: further behind than is allowed. `silent`: it did not answer last. `refused`: it is not fit.
   * `unclear`: how old it is cannot be told, because of its heartbeat or the shard's clock. `untried`: nobody knows yet.
   */
  readonly state: 'following' | 'lagging' | 'silent' | 'refused' | 'unclear' | 'untried';
  /** Why it is not followed; null when it is. */
  readonly reason: string | null;
  /** How old what it shows was, at most, when it was last looked at. */
  readonly lagMs: number | null;
}

/** One look at a shard's connection pool. */
export interface PoolState {
  readonly connections_max: number;
  readonly open: number;
  readonly busy: number;
  readonly waiting: number;
  readonly waiting_max: number;
}

/** The shards as operators see them. */
export interface ShardOverview {
  shards(): readonly ShardState[];
  /** False when an answer from this shard must name a weaker promise (I11). */
  isDurable(shard: ShardIndex): boolean;
}

/** Reads a shard's books. */
export interface BookReader {
  /** @throws when the shard cannot be read: books that were not read are not balanced. */
  readBalances(shard: ShardIndex, deadlineMs: DeadlineMs): Promise<readonly SkuBalance[]>;
}

/** What became of an attempt to bring a journal to what its row says. */
export interface Mended {
  /** `changed`: the difference is another by now, or there is no row; nothing was written. */
  readonly is: 'mended' | 'changed';
}

/**
 * Holds a shard's tables against each other, and hands out what is to be held against other shards. Takes no lock but to
 * mend. Its reads throw when the shard cannot be read: what was not read is not as it should be.
 */
export interface Auditor {
  /** Checks all SKUs, or some, in one snapshot. @param sku_ids null: all */
  audit(shard: ShardIndex, sku_ids: readonly string[] | null, deadlineMs: DeadlineMs): Promise<ShardAudit>;

  /** A page of the records of decided carts, in the order of their keys. @param query.naming only with a line of this SKU, or without lines */
  readDecidedCarts(
    shard: ShardIndex,
    query: { readonly after: CartPosition | null; readonly max: number; readonly naming: string | null },
    deadlineMs: DeadlineMs,
  ): Promise<CartPage>;

  /** How some carts were decided, where they are. */
  readVerdicts(
    shard: ShardIndex,
    keys: readonly CartKey[],
    deadlineMs: DeadlineMs,
  ): Promise<readonly (CartKey & Pick<DecidedCart, 'state'>)[]>;

  /** Which of some carts are open, or were decided only just now: their holds are as they should be. */
  findFreshCarts(shard: ShardIndex, keys: readonly CartKey[], deadlineMs: DeadlineMs): Promise<readonly CartKey[]>;

  /** Those of some flows that stand, in any status. */
  readFlows(shard: ShardIndex, keys: readonly FlowKey[], deadlineMs: DeadlineMs): Promise<readonly SoldFlow[]>;

  /** What some carts sold, as the flows say; looks at all flows. @param sku_ids null: all */
  findFlowsOfCarts(
    shard: ShardIndex,
    carts: readonly CartKey[],
    sku_ids: readonly string[] | null,
    deadlineMs: DeadlineMs,
  ): Promise<readonly SoldFlow[]>;

  /** Writes an adjustment that brings the journal to what the row says, as long as its delta is the difference. The row stays. */
  mend(shard: ShardIndex, adjustment: Adjust, deadlineMs: DeadlineMs): Promise<Mended | NotDone | NotMine | Unknown>;
}
