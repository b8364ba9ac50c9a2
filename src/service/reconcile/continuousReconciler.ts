import { OpenDifferences } from '../../core/books/openDifferences.ts';
import type { DifferenceKind, StockDifference } from '../../core/books/reconciliation.ts';
import { nextStepSkus, pauseAfterRecords, pauseAfterStep, STEP_SKUS_MAX } from '../../core/books/walkPace.ts';
import type { Auditor } from '../../core/ports/auditor.ts';
import type { ReconciliationWalk, ReconciliationWalks } from '../../core/ports/reconciliationWalks.ts';
import type { ShardIndex } from '../../core/types.ts';
import type { Routing } from '../routing/routing.ts';
import { DueTasks } from '../tasks/dueTasks.ts';
import { compareRecords, compareSkus } from './compareStep.ts';
import type { Compared, NotCompared } from './compareStep.ts';
import { readAgain } from './confirm.ts';
import { ReadFailures } from './readFailures.ts';

/** Steps at once: each keeps a connection of its shard, and the records of its orders may be on any shard. */
const WIDTH = 2;
/** The longest time for one step, both reads of a suspected difference included. */
const STEP_DEADLINE_MS = 40_000;
/** The longest time for a write of the position. */
const STORE_MS = 2_000;
/** The pause while another process reconciles the shard, or while it cannot be read. */
const IDLE_MS = 5_000;
/** The position is stored at most this often: a process that takes over repeats what was compared since then. */
const STORE_EVERY_MS = 5_000;
/** Without a stored position for this long, another process may have taken the shard. Below the time of the lease. */
const OWNED_MS = 100_000;
/** The pause after differences were read again, in times of that read. */
const REST_PER_RECHECK = 9;
/** An id of a transaction begins with its time in this many hexadecimal digits. */
const TIME_DIGITS = 12;

/** The size of one step over SKUs and its time. */
export interface StepReport {
  readonly skus: number;
  readonly seconds: number;
}

export interface ContinuousReconcilerOptions {
  readonly shardCount: number;
  /** Names this process in the leases: 32 random hexadecimal digits. */
  readonly token: string;
  /** The least time between two reads of the open differences. */
  readonly recheckMs: number;
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
  /** A round has ended, and that was not stored yet. */
  isRoundEnd: boolean;
  /** SKUs in the next step, at most. */
  skusMax: number;
  /** Newer records belong to the next round, which would never begin otherwise. In hexadecimal digits. */
  recordsUntilHex: string;
  readonly open: OpenDifferences;
  recheckedMs: number;
}

/**
 * Compares all SKUs of all shards with their journals, and all order records with their flows, in small steps and
 * without end. Of all gateways one process at a time reconciles a shard. It changes nothing. A difference is reported
 * when two reads, a second apart, show it, and again when it is gone.
 */
export class ContinuousReconciler {
  readonly #ports: ContinuousReconcilerPorts;
  readonly #options: ContinuousReconcilerOptions;
  readonly #owned = new Map<ShardIndex, OwnedWalk>();
  readonly #tasks = new DueTasks(WIDTH);

  constructor(ports: ContinuousReconcilerPorts, options: ContinuousReconcilerOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  start(): void {
    const { shardCount, onFault } = this.#options;
    const orIdle = (work: () => Promise<number>) => (): Promise<number> =>
      work().catch((error: unknown) => {
        onFault(error);
        return IDLE_MS;
      });
    const tasks = Array.from({ length: shardCount }, (_, shard: ShardIndex) => [
      orIdle(() => this.stepSkus(shard)),
      orIdle(() => this.stepRecords(shard)),
    ]);
    this.#tasks.start(tasks.flat(), IDLE_MS);
  }

  /** Ends after the steps that are under way, and leaves the shards to other processes. */
  async stop(): Promise<void> {
    await this.#tasks.stop();
    const owned = [...this.#owned];
    this.#owned.clear();
    await Promise.all(owned.map(([shard, each]) => this.#release(shard, each).catch(this.#options.onFault)));
  }

  async #release(shard: ShardIndex, owned: OwnedWalk): Promise<void> {
    const deadlineMs = performance.now() + STORE_MS;
    await this.#ports.walks.store(shard, this.#options.token, positionOf(owned), owned.isRoundEnd, deadlineMs);
    await this.#ports.walks.release(shard, this.#options.token, deadlineMs);
  }

  /** Compares the next SKUs of a shard. @returns the pause until the next step, in milliseconds */
  async stepSkus(shard: ShardIndex): Promise<number> {
    const owned = await this.#ownedWalk(shard);
    if (owned === null) return IDLE_MS;
    await this.#recheck(shard, owned);
    const { walk, skusMax } = owned;
    const query = { afterHex: walk.afterSkuHex, max: skusMax };
    const compared = await compareSkus(this.#ports, shard, query, performance.now() + STEP_DEADLINE_MS);
    this.#report(shard, owned, compared);
    const { elapsedMs, next } = compared;
    const isCompared = compared.is === 'compared';
    if (isCompared) owned.skusMax = nextStepSkus(skusMax, elapsedMs);
    // A smaller step may end in time. A SKU that alone takes too long is left out.
    else if (compared.sku_ids.length > 0) owned.skusMax = Math.max(1, Math.floor(skusMax / 4));
    const isLeftOut = !isCompared && compared.sku_ids.length === 1 && skusMax === 1;
    const count = isCompared ? compared.count : 0;
    if (isCompared || isLeftOut) {
      this.#options.onStep(shard, { skus: count, seconds: elapsedMs / 1_000 });
      const roundSkus = walk.roundSkus + count;
      const rounds = next === null ? { roundSkus: 0, lastRoundSkus: roundSkus } : { roundSkus };
      owned.walk = { ...owned.walk, afterSkuHex: next, ...rounds };
      if (next === null) owned.isRoundEnd = true;
    }
    await this.#store(shard, owned);
    // A shard with more SKUs than in the last round is walked like one whose number of SKUs is not known.
    const shardSkus = walk.roundSkus > (walk.lastRoundSkus ?? 0) ? null : walk.lastRoundSkus;
    const pauseMs = pauseAfterStep({ skus: count, elapsedMs }, shardSkus, this.#options.roundMs);
    return isCompared ? pauseMs : Math.max(IDLE_MS, pauseMs);
  }

  /** Compares the next order records of a shard. @returns the pause until the next step, in milliseconds */
  async stepRecords(shard: ShardIndex): Promise<number> {
    const owned = this.#owned.get(shard);
    if (owned === undefined) return IDLE_MS;
    const { afterRecordHex } = owned.walk;
    if (afterRecordHex === null) owned.recordsUntilHex = timeHex();
    const compared = await compareRecords(this.#ports, shard, afterRecordHex, performance.now() + STEP_DEADLINE_MS);
    // The shard was left to another process meanwhile.
    if (this.#owned.get(shard) !== owned) return IDLE_MS;
    this.#report(shard, owned, compared);
    const { elapsedMs, next } = compared;
    if (compared.is === 'unread') return Math.max(IDLE_MS, pauseAfterRecords(elapsedMs, false));
    const isLast = next === null || next > owned.recordsUntilHex;
    owned.walk = { ...owned.walk, afterRecordHex: isLast ? null : next };
    return pauseAfterRecords(elapsedMs, isLast);
  }

  /** @returns null: another process reconciles the shard, or it cannot be written now */
  async #ownedWalk(shard: ShardIndex): Promise<OwnedWalk | null> {
    const known = this.#owned.get(shard);
    if (known !== undefined && performance.now() < known.storedMs + OWNED_MS) return known;
    const beganMs = performance.now();
    const taken = await this.#ports.walks.take(shard, this.#options.token, beganMs + STORE_MS);
    // A shard that cannot be written now keeps its differences, and its alert.
    if (taken.is === 'lost') this.#forget(shard);
    if (taken.is !== 'taken') return null;
    const { walk } = taken;
    const owned = known ?? {
      ...{ walk, isRoundEnd: false, skusMax: STEP_SKUS_MAX / 2 },
      ...{ recordsUntilHex: timeHex(), open: new OpenDifferences(), recheckedMs: beganMs },
      storedMs: beganMs,
    };
    // The differences of this process are newer than those that it stored last.
    if (known === undefined) owned.open.add(walk.open);
    owned.storedMs = beganMs;
    this.#owned.set(shard, owned);
    this.#options.onCounts(shard, owned.open.counts());
    if (walk.lastRoundMs !== null) this.#options.onRound(shard, walk.lastRoundMs);
    return owned;
  }

  #forget(shard: ShardIndex): void {
    this.#owned.delete(shard);
    this.#options.onCounts(shard, null);
  }

  /** Reports what a comparison has found. */
  #report(shard: ShardIndex, { open }: OwnedWalk, compared: Compared | NotCompared): void {
    if (compared.is === 'unread') return this.#options.onUnread(shard, compared.reason, compared.sku_ids);
    if (compared.unread !== null) this.#options.onUnread(shard, compared.unread, []);
    open.add(compared.differences).forEach(this.#options.onFound);
    this.#options.onCounts(shard, open.counts());
  }

  /** Reads open differences again, and reports those that are gone. */
  async #recheck(shard: ShardIndex, owned: OwnedWalk): Promise<void> {
    if (owned.open.isEmpty || performance.now() < owned.recheckedMs + this.#options.recheckMs) return;
    const ports = { ...this.#ports, readFailures: new ReadFailures() };
    const some = owned.open.oldest(owned.skusMax);
    const beganMs = performance.now();
    const present = await readAgain(ports, some, beganMs + STEP_DEADLINE_MS);
    owned.recheckedMs = performance.now() + REST_PER_RECHECK * (performance.now() - beganMs);
    const unread = ports.readFailures.firstReason();
    // A difference that could not be read is not gone. Others are read next.
    owned.open.replace(some, ports.readFailures.areAny ? some : present).forEach(this.#options.onGone);
    if (unread !== null) this.#options.onUnread(shard, unread, []);
    this.#options.onCounts(shard, owned.open.counts());
  }

  /** Stores the position when the last time was long ago, or when a round has ended. */
  async #store(shard: ShardIndex, owned: OwnedWalk): Promise<void> {
    const nowMs = performance.now();
    if (!owned.isRoundEnd && nowMs < owned.storedMs + STORE_EVERY_MS) return;
    const { isRoundEnd } = owned;
    const walk = positionOf(owned);
    const stored = await this.#ports.walks.store(shard, this.#options.token, walk, isRoundEnd, nowMs + STORE_MS);
    if (stored.is === 'lost') return this.#forget(shard);
    if (stored.is !== 'stored') return;
    owned.storedMs = nowMs;
    owned.isRoundEnd = false;
    if (isRoundEnd && stored.lastRoundMs !== null) this.#options.onRound(shard, stored.lastRoundMs);
  }
}

function positionOf({ walk, open }: OwnedWalk): ReconciliationWalk {
  return { ...walk, open: open.oldest(Infinity) };
}

function timeHex(): string {
  return Date.now().toString(16).padStart(TIME_DIGITS, '0');
}
