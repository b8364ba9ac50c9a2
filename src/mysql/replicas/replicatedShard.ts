import type { DeadlineMs, ShardIndex } from '../../core/nouns.ts';
import type { ReplicaState } from '../../core/ports.ts';
import type { Sight } from '../../core/sight.ts';
import type { ShardClock } from '../batching/shardClock.ts';
import type { Address } from '../connection.ts';
import type { SeenSku } from '../sql/readSights.ts';
import { ageMsOf } from './age.ts';
import { Replica } from './replica.ts';

/** A shard and those who follow it. */
export interface ReplicatedShardOptions {
  readonly shard: ShardIndex;
  readonly initialShards: number;
  readonly replicas: readonly Address[];
  /** What time it is on its primary. */
  readonly clock: ShardClock;
  readonly connections_max: number;
  readonly statementMs: number;
  readonly lagMsMax: number;
}

/** What operators are told of a shard's replicas. */
export interface ReplicatedShardState {
  readonly shard: ShardIndex;
  /** Of the one that is asked; null: none is. */
  readonly lagMs: number | null;
  /** In the order of the shards file. */
  readonly replicas: readonly ReplicaState[];
}

/** With less time than this left another one is asked in vain. */
const ASK_MS_MIN = 10;

/** The replicas of one shard: the one that is the least behind is asked. */
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
   * What is known of some SKUs, at least one. When one replica fails the next one is asked.
   *
   * @returns by SKU; who is missing is not known
   * @throws when all that could be asked failed
   */
  async look(sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<ReadonlyMap<string, Sight>> {
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
  ): Promise<ReadonlyMap<string, Sight>> {
    const { clock, lagMsMax, shard } = this.#options;
    const { seen, at } = await replica.read(sku_ids, deadlineMs);
    const ageMs = seen.heartbeatMs === null ? null : ageMsOf(seen.heartbeatMs, at, clock, lagMsMax);
    if (ageMs === null || ageMs > lagMsMax) return new Map();
    const asOfMs = at.askedMs - ageMs;
    return new Map(
      sku_ids.flatMap((sku_id) => {
        const sight = sightOf(shard, sku_id, seen.of(sku_id), asOfMs);
        return sight === null ? [] : [[sku_id, sight] as const];
      }),
    );
  }

  /** Those that may be asked, the youngest first. */
  #candidates(): Replica[] {
    const known = this.replicas.flatMap((replica) => {
      const heartbeatMs = replica.heartbeatMs();
      return heartbeatMs === null ? [] : [{ replica, heartbeatMs }];
    });
    return known.sort((a, b) => b.heartbeatMs - a.heartbeatMs).map(({ replica }) => replica);
  }
}

/** Of a SKU that is or was split one shard does not know all; of one whose slot lies elsewhere it knows nothing. */
function sightOf(
  shard: ShardIndex,
  sku_id: string,
  { stock, isOwned, hasLayout, hasOpenTransfer }: SeenSku,
  asOfMs: DeadlineMs,
): Sight | null {
  if (!isOwned || hasLayout || stock.some(({ sub_row }) => sub_row !== 0)) return null;
  const [row] = stock;
  const about = { sku_id, mode: 'single', asOfMs } as const;
  // Nobody can say "sold out" of what is not there: it may be put up for sale at any moment.
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
