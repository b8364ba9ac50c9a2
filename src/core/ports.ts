import type { SkuBalance } from './books.ts';
import type { DeadlineMs, FlowKey, ShardIndex } from './nouns.ts';
import type { Operation } from './operation.ts';
import type { FoundFlows, FoundStock, OutcomeOf, ReadFailure } from './outcome.ts';

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
  findFlows(shard: ShardIndex, keys: readonly FlowKey[], deadlineMs: DeadlineMs): Promise<FoundFlows | ReadFailure>;

  /** Reads what is left of one SKU. */
  readStock(shard: ShardIndex, sku_id: string, deadlineMs: DeadlineMs): Promise<FoundStock | ReadFailure>;
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
