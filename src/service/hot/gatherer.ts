import { RowsUnavailable } from '../../core/hotPorts.ts';
import type { Layout } from '../../core/layout.ts';
import { planRebalance } from '../../core/moves.ts';
import type { DeadlineMs, RowPlace, ShardIndex } from '../../core/nouns.ts';
import type { NotDone } from '../../core/outcome.ts';
import { pause } from '../freeHolds.ts';
import { Ask, sendAgain } from './ask.ts';
import type { Gathered, Wish } from './ask.ts';
import { collect, isCurrent, isHomeIn, isSteady } from './collect.ts';
import type { Collected } from './collect.ts';
import type { LayoutCache } from './layoutCache.ts';
import { OverdueTransfers } from './overdueTransfers.ts';
import type { OverduePorts } from './overdueTransfers.ts';
import { endRequest, putBackUnits, serveRequests } from './serve.ts';
import { receiveAll, sendAll } from './transfers.ts';
import { Turn } from './turn.ts';
import type { TurnParts } from './turn.ts';

export interface GatherParts extends OverduePorts, TurnParts {
  readonly layouts: LayoutCache;
}

const PAUSE_MS = 3;
/** How often a gateway without the lease reads the rows that its requests wait for. */
const PEEK_MS = 10;
const NOWHERE: RowPlace = { shard: 0, sub_row: 0 };
/** For one read or write. A shard that takes longer is not waited for. */
const STEP_MS = 1_000;
const SPREAD_MS = 1_000;

/**
 * Moves units of a split SKU to the rows that need them. One gateway at a time does so for a SKU, and within it one
 * round at a time serves all requests. A round reads all rows, takes units off rows that have them, and hands each
 * request the units that left for it. A request is refused for lack of units only when two reads of all rows saw the
 * same.
 */
export class Gatherer {
  readonly #ports: GatherParts;
  readonly #overdue: OverdueTransfers;
  readonly #waiting = new Map<string, Ask[]>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #onFault: (error: unknown) => void;

  /** @param onFault receives unexpected errors */
  constructor(ports: GatherParts, onFault: (error: unknown) => void) {
    this.#ports = ports;
    this.#overdue = new OverdueTransfers(ports);
    this.#onFault = onFault;
  }

  /**
   * Fetches units for a row that has too few. The caller uses the fetched units, or puts them back with `receiveAll`.
   */
  gather(wish: Wish, deadlineMs: DeadlineMs): Promise<Gathered> {
    return new Promise((resolve) => this.#add(new Ask(wish, deadlineMs, resolve)));
  }

  /** Empties closed rows and fills up rows that run low, until the deadline at most. */
  async level(sku_id: string, deadlineMs: DeadlineMs): Promise<void> {
    await this.gather({ sku_id, to: NOWHERE, units: 0, waitsForHolds: false }, deadlineMs);
  }

  /**
   * Moves the units of a SKU to the rows of its new layout while they are being opened, so that the first orders find
   * them there. If another gateway has the lease, that gateway moves them.
   */
  async spread(layout: Layout): Promise<void> {
    const untilMs = performance.now() + SPREAD_MS;
    const lease = new Turn(this.#ports, layout.sku_id);
    if (!(await lease.take(untilMs, performance.now() + PEEK_MS))) return;
    try {
      const { rows, fault } = await this.#collect(layout, untilMs);
      if (fault !== null) return;
      const { moves } = planRebalance(rows, [], ({ shard, sub_row }) => layout.placement[sub_row] === shard);
      const sent = await sendAll(this.#ports, layout.sku_id, moves, untilMs);
      await receiveAll(
        this.#ports,
        sent.flatMap(({ transfer }) => transfer ?? []),
        untilMs,
      );
    } finally {
      await lease.end();
    }
  }

  /** Reads all rows while no gateway moves units between them. */
  async look(sku_id: string, deadlineMs: DeadlineMs): Promise<Collected | NotDone> {
    const gathered = await this.gather(
      { sku_id, to: NOWHERE, units: 0, waitsForHolds: false, isLook: true },
      deadlineMs,
    );
    if (gathered.is === 'seen') return gathered.state;
    return gathered.is === 'not_done' ? gathered : { is: 'not_done', reason: 'the rows of the SKU could not be read' };
  }

  #add(request: Ask): void {
    const { sku_id } = request.wish;
    const waiting = this.#waiting.get(sku_id);
    if (waiting === undefined) this.#waiting.set(sku_id, [request]);
    else waiting.push(request);
    if (!this.#running.has(sku_id)) this.#running.set(sku_id, this.#run(sku_id));
  }

  async #run(sku_id: string): Promise<void> {
    // Requests that come at the same time share the first round.
    await pause(0);
    const lease = new Turn(this.#ports, sku_id);
    try {
      for (let requests = this.#take(sku_id); requests.length > 0; requests = this.#take(sku_id)) {
        const again = await this.#round(sku_id, requests, lease).catch((error: unknown) => {
          this.#onFault(error);
          return this.#fail(requests, 'the requested units could not be moved to the row');
        });
        if (again.length > 0) {
          this.#waiting.set(sku_id, [...again, ...(this.#waiting.get(sku_id) ?? [])]);
          await pause(PAUSE_MS);
        }
      }
    } finally {
      this.#running.delete(sku_id);
      await lease.end().catch(this.#onFault);
    }
  }

  /** Takes the open requests. Units that were fetched for a request that has been answered meanwhile are put back. */
  #take(sku_id: string): Ask[] {
    const requests = this.#waiting.get(sku_id) ?? [];
    this.#waiting.delete(sku_id);
    for (const request of requests) if (request.isOver) putBackUnits(this.#ports, request);
    return requests.filter(({ isOver }) => !isOver);
  }

  /** Serves requests once. @returns the requests for the next round */
  async #round(sku_id: string, requests: readonly Ask[], lease: Turn): Promise<Ask[]> {
    const loaded = await this.#layoutOf(sku_id, stepOf(requests));
    if (loaded === null || 'reason' in loaded) return this.#fail(requests, loaded?.reason ?? 'the SKU is not split');
    const reads = requests.filter(({ wish }) => wish.isLook === true);
    const others = requests.filter(({ wish }) => wish.isLook !== true);
    const unleased =
      lease.isTaken || others.length === 0 ? null : await this.#roundWithoutLease(loaded, others, stepOf(requests));
    // Requests that still wait try for the lease all the same, because requests served without it arrive all the time.
    const waiting = unleased === null ? requests : [...unleased, ...reads];
    if (waiting.length === 0 || !(await lease.take(stepOf(requests), performance.now() + PEEK_MS)) || unleased !== null)
      return [...waiting];
    let state = await this.#collect(loaded, stepOf(requests));
    if (await this.#overdue.receive(requests, state)) state = await this.#collect(loaded, stepOf(requests));
    if (state.fault === null && !isCurrent(loaded, state)) return this.#reloadLayout(sku_id, requests);
    const unread = await this.#answerReads(loaded, reads, state, lease);
    const again = await this.#refuse(
      loaded,
      others.filter(({ lack }) => lack > state.sellable),
      state,
      stepOf(requests),
    );
    const feasible = others.filter(({ lack }) => lack <= state.sellable);
    return [
      ...(feasible.length === 0 ? [] : await serveRequests(this.#ports, loaded, feasible, state, stepOf(requests))),
      ...again,
      ...unread,
    ];
  }

  /**
   * Answers requests that only read. No units were on their way at the first read, and none leave a row while this
   * gateway holds the lease, so the second read shows all rows as at one moment.
   *
   * @returns the requests that are still to be answered
   */
  async #answerReads(layout: Layout, reads: readonly Ask[], state: Collected, lease: Turn): Promise<Ask[]> {
    if (reads.length === 0) return [];
    if (state.fault !== null) return this.#fail(reads, state.fault);
    if (state.transfers.length > 0) return [...reads];
    const second = await this.#collect(layout, stepOf(reads));
    // A gateway that took the lease meanwhile may have moved units past this read.
    if (second.fault === null && (second.transfers.length > 0 || !lease.isHeld)) return [...reads];
    for (const request of reads)
      request.tell(second.fault === null ? { is: 'seen', state: second } : { is: 'not_done', reason: second.fault });
    return [];
  }

  /** Handles a layout that has been replaced: a request for units ends, so that its caller finds its present row. */
  async #reloadLayout(sku_id: string, requests: readonly Ask[]): Promise<Ask[]> {
    await this.#ports.layouts.loadUsable(sku_id, stepOf(requests));
    for (const request of requests)
      if (request.wish.units > 0) endRequest(this.#ports, request, { is: 'moved', sku_ids: [sku_id] });
    return requests.filter(({ wish }) => wish.units === 0);
  }

  /**
   * Answers requests without a lease when there is nothing to fetch and nothing to wait for.
   *
   * @returns the requests for the next round; null: they need the lease
   */
  async #roundWithoutLease(layout: Layout, requests: readonly Ask[], untilMs: DeadlineMs): Promise<Ask[] | null> {
    if (requests.every(({ wasSeen }) => wasSeen)) return this.#readOwnRows(layout, requests, untilMs);
    for (const request of requests) request.wasSeen = true;
    const state = await this.#collect(layout, untilMs);
    const others = sendAgain(requests, state.rows);
    if (others.length < requests.length) return others;
    if (state.transfers.length > 0) return null;
    if (state.leaved + state.held === 0 && requests.every(({ credits }) => credits.length === 0))
      return this.#refuse(layout, requests, state, untilMs);
    const isIdle =
      requests.every(({ wish }) => wish.units === 0) &&
      planRebalance(state.rows, [], isHomeIn(layout)).moves.length === 0;
    if (!isIdle) return null;
    for (const request of requests) request.tell({ is: 'fetched', credits: [] });
    return [];
  }

  /**
   * Reads only the rows that the requests wait for: the gateway that has the lease may fill them up.
   *
   * @returns the requests that go on waiting; null: all of them
   */
  async #readOwnRows({ sku_id }: Layout, requests: readonly Ask[], untilMs: DeadlineMs): Promise<Ask[] | null> {
    const shards = new Set(requests.filter(({ wish }) => wish.units > 0).map(({ wish }) => wish.to.shard));
    const answers = await Promise.all([...shards].map((shard) => this.#ports.rows.readRows(shard, sku_id, untilMs)));
    const others = sendAgain(
      requests,
      answers.flatMap((answer) => (answer.is === 'found' ? answer.rows : [])),
    );
    return others.length < requests.length ? others : null;
  }

  async #layoutOf(sku_id: string, untilMs: DeadlineMs): Promise<Layout | NotDone | null> {
    const known = this.#ports.layouts.known(sku_id);
    if (known !== null) return known;
    const loaded = await this.#ports.layouts.load(sku_id, untilMs);
    return loaded.is === 'layout' ? loaded.layout : loaded;
  }

  #collect(layout: Layout, untilMs: DeadlineMs): Promise<Collected> {
    return collect(this.#ports.rows, layout, untilMs);
  }

  /** Refuses requests for more units than there are, when that is certain. @returns the requests for which it is not */
  async #refuse(layout: Layout, requests: readonly Ask[], state: Collected, untilMs: DeadlineMs): Promise<Ask[]> {
    if (requests.length === 0) return [];
    if (state.fault === null && !isCurrent(layout, state)) return this.#reloadLayout(layout.sku_id, requests);
    const candidates: Ask[] = [];
    for (const request of requests) {
      if (state.fault !== null) {
        const reason = `a row of the SKU could not be read: ${state.fault}`;
        endRequest(this.#ports, request, { is: 'not_done', reason });
      } else if (request.wish.waitsForHolds && state.held > 0 && request.lack <= state.sellable + state.held)
        void this.#answerWithHolds(request, state, untilMs);
      else candidates.push(request);
    }
    if (candidates.length === 0) return [];
    const isSure = state.transfers.length === 0 && isSteady(state, await this.#collect(layout, untilMs));
    return candidates.filter((request) => {
      // Units that were fetched for a request are on their way and are in none of the sums.
      if (isSure && request.credits.length === 0) {
        request.tell({ is: 'short', leaved_amount: state.sellable, lying_amount: state.leaved });
        return false;
      }
      putBackUnits(this.#ports, request);
      return true;
    });
  }

  async #answerWithHolds(request: Ask, state: Collected, untilMs: DeadlineMs): Promise<void> {
    const { sku_id } = request.wish;
    const shards = new Set<ShardIndex>(
      state.rows.filter(({ held_amount }) => held_amount > 0).map(({ shard }) => shard),
    );
    putBackUnits(this.#ports, request);
    try {
      const holds = (
        await Promise.all([...shards].map((shard) => this.#ports.rows.readHolds(shard, sku_id, untilMs)))
      ).flat();
      if (holds.length > 0) request.tell({ is: 'pending', holds });
      // The holds ended between the two reads.
      else if (!request.isOver) this.#add(request);
    } catch (error) {
      if (!(error instanceof RowsUnavailable)) this.#onFault(error);
      request.tell({ is: 'not_done', reason: 'holds could not be read' });
    }
  }

  /** @returns an empty list: no request is left for the next round */
  #fail(requests: readonly Ask[], reason: string): Ask[] {
    for (const request of requests) endRequest(this.#ports, request, { is: 'not_done', reason });
    return [];
  }
}

/** The deadline of one step of a round: that of the most patient request, and 1 s at most. */
function stepOf(requests: readonly Ask[]): DeadlineMs {
  return Math.min(performance.now() + STEP_MS, Math.max(...requests.map(({ deadlineMs }) => deadlineMs)));
}
