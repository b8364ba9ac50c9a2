import { pause } from '../../core/async/pause.ts';
import { OpenDifferences } from '../../core/books/openDifferences.ts';
import type { DifferenceKind, StockDifference } from '../../core/books/reconciliation.ts';
import { nextStepSkus, pauseAfterStep, STEP_SKUS_MAX } from '../../core/books/walkPace.ts';
import type { Auditor } from '../../core/ports/auditor.ts';
import type { ReconciliationWalk, ReconciliationWalks } from '../../core/ports/reconciliationWalks.ts';
import type { ShardIndex } from '../../core/types.ts';
import type { Routing } from '../routing/routing.ts';
import { compareRecords, compareSkus } from './compareStep.ts';
import type { Compared, NotCompared } from './compareStep.ts';

/** The longest time for one step, both reads of a suspected difference included. */
const STEP_DEADLINE_MS = 40_000;
/** The longest time for a write of the position. */
const STORE_MS = 2_000;
/** The pause while another process reconciles the shard, or while it cannot be read. */
const IDLE_MS = 5_000;
/** The position is stored at most this often: a process that takes over repeats what was compared since then. */
const STORE_EVERY_MS = 5_000;

/** The size of one step and its time. */
export interface StepReport {
  readonly skus: number;
  readonly seconds: number;
}

export interface ContinuousReconcilerOptions {
  readonly shardCount: number;
  /** Names this process in the leases: 32 random hexadecimal digits. */
  readonly token: string;
  /** The time in which each SKU is to be compared once. */
  readonly roundMs: number;
  readonly onStep: (shard: ShardIndex, step: StepReport) => void;
  /** Called with the end of the last complete round, by the clock of the shard. Other processes may have ended it. */
  readonly onRound: (shard: ShardIndex, endedMs: number) => void;
  readonly onFound: (difference: StockDifference) => void;
  readonly onGone: (difference: StockDifference) => void;
  /** Called with the differences of a shard after each step, by their kind; null: another process reconciles it now. */
  readonly onCounts: (shard: ShardIndex, counts: ReadonlyMap<DifferenceKind, number> | null) => void;
  /** Called with what could not be read. @param sku_ids left out until the next round */
  readonly onUnread: (shard: ShardIndex, reason: string, sku_ids: readonly string[]) => void;
  readonly onFault: (error: unknown) => void;
}

/** The dependencies of reconciling continuously. */
export interface ContinuousReconcilerPorts {
  readonly routing: Routing;
  readonly auditor: Auditor;
  readonly walks: ReconciliationWalks;
}

/** The state of a shard that this process reconciles. */
interface OwnedWalk {
  walk: ReconciliationWalk;
  storedMs: number;
  /** SKUs in the next step, at most. */
  skusMax: number;
  /** Differences that the walk over the SKUs and the one over the order records have found. */
  readonly bySku: OpenDifferences;
  readonly byRecord: OpenDifferences;
}

/**
 * Compares all SKUs of all shards with their journals, and all order records with their flows, in small steps and
 * without end. Of all gateways one process at a time reconciles a shard. It changes nothing. A difference is reported
 * when two reads, a second apart, show it, and again when it is gone.
 */
export class ContinuousReconciler {
  readonly #ports: ContinuousReconcilerPorts;
  readonly #options: ContinuousReconcilerOptions;
  readonly #token: string;
  readonly #owned = new Map<ShardIndex, OwnedWalk>();
  /** One for each shard: ends its pause. */
  readonly #stops: AbortController[] = [];
  #loops: Promise<unknown> = Promise.resolve();

  constructor(ports: ContinuousReconcilerPorts, options: ContinuousReconcilerOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#token = options.token;
  }

  start(): void {
    const shards = Array.from({ length: this.#options.shardCount }, (_, shard): ShardIndex => shard);
    this.#loops = Promise.all(shards.map((shard) => this.#reconcileUntilStopped(shard)));
  }

  /** Ends after the steps that are under way, and leaves the shards to other processes. */
  async stop(): Promise<void> {
    for (const stop of this.#stops) stop.abort();
    await this.#loops;
    const owned = [...this.#owned];
    this.#owned.clear();
    await Promise.all(owned.map(([shard, { walk }]) => this.#release(shard, walk).catch(this.#options.onFault)));
  }

  async #release(shard: ShardIndex, walk: ReconciliationWalk): Promise<void> {
    const deadlineMs = performance.now() + STORE_MS;
    await this.#ports.walks.store(shard, this.#token, walk, false, deadlineMs);
    await this.#ports.walks.release(shard, this.#token, deadlineMs);
  }

  async #reconcileUntilStopped(shard: ShardIndex): Promise<void> {
    const stop = new AbortController();
    this.#stops.push(stop);
    const { signal } = stop;
    // Shards of one server are not compared all at the same moment.
    let pauseMs = Math.random() * IDLE_MS;
    while (!signal.aborted) {
      await pause(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      pauseMs = await this.step(shard).catch((error: unknown) => {
        this.#options.onFault(error);
        return IDLE_MS;
      });
    }
  }

  /** Compares the next SKUs and order records of a shard. @returns the pause until the next step, in milliseconds */
  async step(shard: ShardIndex): Promise<number> {
    const owned = await this.#ownedWalk(shard);
    if (owned === null) {
      this.#options.onCounts(shard, null);
      return IDLE_MS;
    }
    const { walk } = owned;
    const beganMs = performance.now();
    const deadlineMs = beganMs + STEP_DEADLINE_MS;
    const records = await compareRecords(this.#ports, shard, walk.afterRecordHex, deadlineMs);
    this.#take(shard, owned.byRecord, records);
    const query = { afterHex: walk.afterSkuHex, max: owned.skusMax };
    const skus = await compareSkus(this.#ports, shard, query, deadlineMs);
    this.#take(shard, owned.bySku, skus);
    const pausedMs = [records, skus].reduce((sum, one) => sum + (one.is === 'compared' ? one.pausedMs : 0), 0);
    const elapsedMs = performance.now() - beganMs - pausedMs;
    this.#options.onCounts(shard, added(owned.bySku.counts(), owned.byRecord.counts()));
    const afterRecordHex = records.is === 'compared' ? records.range.lastHex : walk.afterRecordHex;
    if (skus.is === 'unread' && (skus.sku_ids.length !== 1 || owned.skusMax > 1)) {
      // A smaller step may end in time.
      owned.skusMax = Math.max(1, Math.floor(owned.skusMax / 4));
      await this.#advance(shard, owned, { ...walk, afterRecordHex }, false);
      return IDLE_MS;
    }
    const [count, lastHex] = skus.is === 'compared' ? [skus.count, skus.range.lastHex] : [0, hexOf(skus.sku_ids)];
    owned.skusMax = nextStepSkus(owned.skusMax, elapsedMs);
    this.#options.onStep(shard, { skus: count, seconds: elapsedMs / 1_000 });
    const isRoundEnd = lastHex === null;
    const roundSkus = walk.roundSkus + count;
    const next = isRoundEnd ? { roundSkus: 0, lastRoundSkus: roundSkus } : { roundSkus };
    await this.#advance(shard, owned, { ...walk, afterSkuHex: lastHex, afterRecordHex, ...next }, isRoundEnd);
    return pauseAfterStep({ skus: count, elapsedMs }, walk.lastRoundSkus, this.#options.roundMs);
  }

  /** @returns null: another process reconciles the shard */
  async #ownedWalk(shard: ShardIndex): Promise<OwnedWalk | null> {
    const known = this.#owned.get(shard);
    if (known !== undefined) return known;
    const walk = await this.#ports.walks.take(shard, this.#token, performance.now() + STORE_MS);
    if (walk === null) return null;
    const owned: OwnedWalk = {
      ...{ walk, storedMs: performance.now(), skusMax: STEP_SKUS_MAX / 2 },
      bySku: new OpenDifferences(({ sku_id }) => hexOf([sku_id])),
      byRecord: new OpenDifferences(({ cart }) => cart?.transaction?.transaction_id ?? ''),
    };
    this.#owned.set(shard, owned);
    if (walk.lastRoundMs !== null) this.#options.onRound(shard, walk.lastRoundMs);
    return owned;
  }

  /** Reports what a comparison has changed. */
  #take(shard: ShardIndex, open: OpenDifferences, compared: Compared | NotCompared): void {
    if (compared.is === 'unread') {
      this.#options.onUnread(shard, compared.reason, compared.sku_ids);
      return;
    }
    const { range, differences, unread } = compared;
    if (unread !== null) this.#options.onUnread(shard, unread, []);
    const { found, gone } = open.replace(range, differences, unread === null);
    found.forEach(this.#options.onFound);
    gone.forEach(this.#options.onGone);
  }

  /** Keeps the position, and stores it when the last time was long ago. */
  async #advance(shard: ShardIndex, owned: OwnedWalk, walk: ReconciliationWalk, isRoundEnd: boolean): Promise<void> {
    owned.walk = walk;
    if (!isRoundEnd && performance.now() < owned.storedMs + STORE_EVERY_MS) return;
    const deadlineMs = performance.now() + STORE_MS;
    const stored = await this.#ports.walks.store(shard, this.#token, walk, isRoundEnd, deadlineMs);
    if (stored === null) {
      this.#owned.delete(shard);
      return;
    }
    owned.walk = stored;
    owned.storedMs = performance.now();
    if (isRoundEnd && stored.lastRoundMs !== null) this.#options.onRound(shard, stored.lastRoundMs);
  }
}

function added(
  some: ReadonlyMap<DifferenceKind, number>,
  others: ReadonlyMap<DifferenceKind, number>,
): ReadonlyMap<DifferenceKind, number> {
  const sums = new Map(some);
  for (const [kind, count] of others) sums.set(kind, (sums.get(kind) ?? 0) + count);
  return sums;
}

function hexOf([sku_id = '']: readonly string[]): string {
  return Buffer.from(sku_id, 'utf8').toString('hex');
}
