import { chunksOf } from '../core/async/chunksOf.ts';
import type { DeadlineMs } from '../core/types.ts';
import type { ReadingStore } from '../core/ports/readingStore.ts';
import type { StockReading } from '../core/precheck/stockReading.ts';
import { ClientCommander } from './commander.ts';
import type { Commander } from './commander.ts';
import { NoAnswer } from './noAnswer.ts';
import { CommandQueue } from './commandQueue.ts';
import { Lookups } from './lookups.ts';
import { Nodes } from './nodes.ts';
import type { RedisOptions } from './options.ts';
import { PARTITION_COUNT, partitionOf, PartitionKeys } from './partitions.ts';
import { CachePartition } from './cachePartition.ts';
import { ClockWatch } from './nodeWatch.ts';

/** The state of Redis for metrics and `GET /v1/shards`. */
export interface RedisState {
  readonly connected: boolean;
  /** Runs of nodes that have answered. */
  readonly nodes: number;
  /** The partitions, of 16, whose values are used. */
  readonly watchedPartitions: number;
  /** The partitions whose node did not answer in time and has not answered since. */
  readonly silentPartitions: number;
  /** How many times a node's clock was set. */
  readonly steps: number;
  /** Values that were read and not used. */
  readonly rejected: number;
  /** Readings that were not stored for other gateways. */
  readonly dropped: number;
}

/**
 * Readings of a clock count for this much longer than stored values do. So a value written before the oldest of them is
 * too old to be used.
 */
const MARGIN_MS = 3_000;
/** The most SKUs in one command. */
const SKUS_MAX = 256;

interface Partition {
  readonly queue: CommandQueue;
  readonly cache: CachePartition;
  readonly lookups: Lookups;
}

/**
 * Stock readings that gateways share through Redis. Redis is not trusted: it may lose its data, hold old copies or
 * invalid values, stop, or be replaced by another server. A value is used only if a gateway signed it for this SKU, and
 * only if it was written while this gateway watched the node's clock. Its age is never reported as less than it is.
 */
export class RedisReadings implements ReadingStore {
  readonly #options: RedisOptions;
  readonly #commander: Commander;
  readonly #nodes: Nodes;
  readonly #partitions: readonly Partition[];
  readonly #watch: ClockWatch;

  /** @param commander sends scripts to their node; absent: the client that the options describe */
  constructor(options: RedisOptions, commander: Commander = new ClientCommander(options)) {
    if (/[{}]/.test(options.keyPrefix))
      throw new RangeError(`the key prefix must not contain braces: ${options.keyPrefix}`);
    this.#options = options;
    this.#commander = commander;
    this.#nodes = new Nodes(options.keepMs + MARGIN_MS, (run_id) =>
      options.onEvent?.({ kind: 'stepped', what: run_id }),
    );
    this.#partitions = Array.from({ length: PARTITION_COUNT }, (_, index) => this.#open(index));
    this.#watch = new ClockWatch(this.#partitions.map(({ queue }) => queue));
  }

  /** Begins to connect, and returns at once. There are no readings until there is a connection. */
  start(): void {
    this.#commander.start();
    this.#watch.start();
  }

  async stop(): Promise<void> {
    this.#watch.stop();
    await this.#commander.stop();
  }

  state(): RedisState {
    const sum = (of: (partition: Partition) => number): number =>
      this.#partitions.reduce((total, partition) => total + of(partition), 0);
    return {
      connected: this.#commander.isConnected,
      nodes: this.#nodes.count,
      watchedPartitions: sum(({ queue }) => Number(!queue.isSilent && !queue.needsEra)),
      silentPartitions: sum(({ queue }) => Number(queue.isSilent)),
      steps: this.#nodes.steps,
      rejected: sum(({ cache }) => cache.rejected),
      dropped: sum(({ cache }) => cache.dropped),
    };
  }

  /**
   * @returns null for each SKU without a usable value, also when only its node does not answer in time
   * @throws NoAnswer when no node answers in time; also any error of the client
   */
  async read(sku_ids: readonly string[], deadlineMs: DeadlineMs): Promise<readonly (StockReading | null)[]> {
    const known = new Map<string, StockReading>();
    const groups = this.#byPartition(
      sku_ids.filter((sku_id) => this.#options.secretOf(sku_id) !== null),
      (sku_id) => sku_id,
    );
    if (groups.size === 0) return sku_ids.map(() => null);
    const waitMs = Math.min(this.#options.commandMs, deadlineMs - performance.now());
    if (waitMs <= 0) throw new NoAnswer('the deadline passed before the command to Redis was sent');
    let answered = 0;
    let failure: unknown = new NoAnswer(`Redis did not answer within ${Math.round(waitMs)} ms`);
    const found = [...groups].map(([{ lookups }, group]) =>
      lookups.add(group).then(
        (some) => {
          answered += 1;
          for (const sku_id of group) this.#keep(known, some.get(sku_id));
        },
        (error: unknown) => void (failure = error),
      ),
    );
    await doneWithin(Promise.all(found), waitMs);
    if (answered === 0) throw failure;
    return sku_ids.map((sku_id) => known.get(sku_id) ?? null);
  }

  async store(readings: readonly StockReading[]): Promise<void> {
    const groups = this.#byPartition(
      readings.filter(({ sku_id }) => this.#options.secretOf(sku_id) !== null),
      ({ sku_id }) => sku_id,
    );
    await Promise.all(
      [...groups].flatMap(([{ cache }, group]) => chunksOf(group, SKUS_MAX).map((some) => cache.store(some))),
    );
  }

  #open(index: number): Partition {
    const { keyPrefix, commandMs } = this.#options;
    const queue = new CommandQueue(new PartitionKeys(keyPrefix, index), this.#commander, this.#nodes, commandMs);
    const cache = new CachePartition(queue, this.#options);
    return { queue, cache, lookups: new Lookups((sku_ids) => cache.find(sku_ids)) };
  }

  #byPartition<T>(items: readonly T[], sku_idOf: (item: T) => string): Map<Partition, T[]> {
    const groups = new Map<Partition, T[]>();
    for (const item of items) {
      const partition = this.#partitions[partitionOf(sku_idOf(item))];
      if (partition === undefined) continue;
      const group = groups.get(partition);
      if (group === undefined) groups.set(partition, [item]);
      else group.push(item);
    }
    return groups;
  }

  #keep(known: Map<string, StockReading>, reading: StockReading | undefined): void {
    if (reading !== undefined) known.set(reading.sku_id, reading);
  }
}

/** Waits for work that never fails, for `waitMs` at most. */
function doneWithin(work: Promise<unknown>, waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, waitMs);
    void work.then(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
