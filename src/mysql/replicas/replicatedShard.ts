import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { ReplicaState } from '../../core/ports/shardOverview.ts';
import type { StockReading } from '../../core/precheck/stockReading.ts';
import type { ShardClock } from '../batching/shardClock.ts';
import type { Address } from '../connection/connection.ts';
import type { ReplicaSku } from '../sql/readings/readReplicaRows.ts';
import { ageMsOf } from './age.ts';
import { Replica } from './replica.ts';

/** A shard and its replicas. */
export interface ReplicatedShardOptions {
  readonly shard: ShardIndex;
  readonly initialShards: number;
  readonly replicas: readonly Address[];
  /** The clock of its primary. */
  readonly clock: ShardClock;
  readonly connections_max: number;
  readonly statementMs: number;
  readonly lagMsMax: number;
}

/** The state of a shard's replicas, for operators. */
export interface ReplicatedShardState {
  readonly shard: ShardIndex;
  /** Lag of the replica that is read; null: none is. */
  readonly lagMs: number | null;
  /** In the order of the shards file. */
  readonly replicas: readonly ReplicaState[];
}

/** With less time than this left, another replica could not answer in time. */
const ASK_MS_MIN = 10;

/** The replicas of one shard. Reads go to the replica that is least behind. */
export class ReplicatedShard {
  readonly replicas: readonly Replica[];
  readonly #options: ReplicatedShardOptions;

  constructor(options: ReplicatedShardOptions) {
    this.#options = options;
    this.replicas = options.replicas.map((address) => new Replica({ ...options, address }));
  }

  state(): ReplicatedShardState {
    const [chosen] = this.#candidates();
    return {
      shard: this.#options.shard,
      lagMs: chosen?.state().lagMs ?? null,
      replicas: this.replicas.map((replica) => replica.state()),
    };
  }

  /**
   * Reads SKUs, at least one. When one replica fails the next one is read.
   *
   * @returns readings by SKU; a SKU without a reading is not known
   * @throws Error when every replica that could be read failed
   */
  async look(sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<ReadonlyMap<string, StockReading>> {
    let failure: Error | null = null;
    for (const replica of this.#candidates()) {
      if (performance.now() + ASK_MS_MIN > deadlineMs) break;
      try {
        return await this.#read(replica, sku_ids, deadlineMs);
      } catch (error) {
        failure = error instanceof Error ? error : new Error(String(error));
      }
    }
    if (failure !== null) throw failure;
    return new Map();
  }

  async #read(
    replica: Replica,
    sku_ids: readonly string[],
    deadlineMs: DeadlineMs,
  ): Promise<ReadonlyMap<string, StockReading>> {
    const { clock, lagMsMax, shard } = this.#options;
    const { seen, at } = await replica.read(sku_ids, deadlineMs);
    const ageMs = seen.heartbeatMs === null ? null : ageMsOf(seen.heartbeatMs, at, clock, lagMsMax);
    if (ageMs === null || ageMs > lagMsMax) return new Map();
    const asOfMs = at.askedMs - ageMs;
    return new Map(
      sku_ids.flatMap((sku_id) => {
        const reading = readingOf(shard, sku_id, seen.of(sku_id), asOfMs);
        return reading === null ? [] : [[sku_id, reading] as const];
      }),
    );
  }

  /** The replicas that may be read, the youngest first. */
  #candidates(): Replica[] {
    const known = this.replicas.flatMap((replica) => {
      const heartbeatMs = replica.heartbeatMs();
      return heartbeatMs === null ? [] : [{ replica, heartbeatMs }];
    });
    return known.sort((a, b) => b.heartbeatMs - a.heartbeatMs).map(({ replica }) => replica);
  }
}

/** Null for a SKU that is or was split, of which one shard shows a part, and for a SKU whose slot has another owner. */
function readingOf(
  shard: ShardIndex,
  sku_id: string,
  { stock, isOwned, hasLayout, hasOpenTransfer }: ReplicaSku,
  asOfMs: DeadlineMs,
): StockReading | null {
  if (!isOwned || hasLayout || stock.some(({ sub_row }) => sub_row !== 0)) return null;
  const [row] = stock;
  const about = { sku_id, mode: 'single', asOfMs } as const;
  // A SKU that does not exist is not "sold out": it may be opened at any moment.
  if (row === undefined) return { ...about, leaved_amount: null, isEmpty: false, version: 0, rows: [] };
  const { sub_row, leaved_amount, held_amount, version } = row;
  return {
    ...about,
    leaved_amount,
    isEmpty: leaved_amount + held_amount === 0 && !hasOpenTransfer,
    version,
    rows: [{ shard, sub_row, leaved_amount }],
  };
}
