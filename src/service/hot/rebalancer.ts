import { RowsUnavailable } from '../../core/ports/hotRows.ts';
import type { Layout } from '../../core/hot/layout.ts';
import { planRebalance } from '../../core/hot/rebalancePlan.ts';
import type { DeadlineMs, ShardIndex } from '../../core/types.ts';
import type { NotDone } from '../../core/outcome.ts';
import { pause } from '../../core/async/pause.ts';
import { PendingStockRequest, answerServedRequests } from './stockRequest.ts';
import type { StockRequestOutcome, StockRequest } from './stockRequest.ts';
import { readAllRows, areAllRowsOpenIn, takesNewIdsIn, isSteady, type AllRows } from './readAllRows.ts';
import { OverdueTransfers } from './overdueTransfers.ts';
import { endRequest, putBackUnits, serveRequests } from './serveRequests.ts';
import { receiveAll, sendAll } from './transfers.ts';
import { RebalanceLease } from './rebalanceLease.ts';
import type { RebalancerPorts } from './rebalancerPorts.ts';
import { NOWHERE, stepOf } from './stepOf.ts';

const PAUSE_MS = 3;
/** How often a gateway without the lease reads the rows that its requests wait for. */
const PEEK_MS = 10;
const SPREAD_MS = 1_000;

/**
 * Moves units of a split SKU to the rows that need them. One gateway at a time does so for a SKU, and within it one
 * round at a time serves all requests. A round reads all rows, takes units off rows that have them, and hands each
 * request the units that left for it. A request is refused for lack of units only when two reads of all rows saw the
 * same.
 */
export class Rebalancer {
  readonly #ports: RebalancerPorts;
  readonly #overdue: OverdueTransfers;
  readonly #waiting = new Map<string, PendingStockRequest[]>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #onFault: (error: unknown) => void;

  /** @param onFault receives unexpected errors */
  constructor(ports: RebalancerPorts, onFault: (error: unknown) => void) {
    this.#ports = ports;
    this.#overdue = new OverdueTransfers(ports);
    this.#onFault = onFault;
  }

  /**
   * Fetches units for a row that has too few. The caller uses the fetched units, or puts them back with `receiveAll`.
   */
  fetch(wish: StockRequest, deadlineMs: DeadlineMs): Promise<StockRequestOutcome> {
    return new Promise((resolve) => this.#add(new PendingStockRequest(wish, deadlineMs, resolve)));
  }

  /** Empties closed rows and fills up rows that run low, until the deadline at most. */
  async rebalance(sku_id: string, deadlineMs: DeadlineMs): Promise<void> {
    await this.fetch({ sku_id, to: NOWHERE, units: 0, waitsForHolds: false }, deadlineMs);
  }

  /**
   * Moves the units of a SKU to the rows of its new layout while they are being opened, so that the first orders find
   * them there. If another gateway has the lease, that gateway moves them.
   */
  async spreadUnits(layout: Layout): Promise<void> {
    const untilMs = performance.now() + SPREAD_MS;
    const lease = new RebalanceLease(this.#ports, layout.sku_id);
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
  async readWhileLeased(sku_id: string, deadlineMs: DeadlineMs): Promise<AllRows | NotDone> {
    const gathered = await this.fetch(
      { sku_id, to: NOWHERE, units: 0, waitsForHolds: false, isReadOnly: true },
      deadlineMs,
    );
    if (gathered.is === 'seen') return gathered.state;
    return gathered.is === 'not_done' ? gathered : { is: 'not_done', reason: 'the rows of the SKU could not be read' };
  }

  #add(request: PendingStockRequest): void {
    const { sku_id } = request.request;
    const waiting = this.#waiting.get(sku_id);
    if (waiting === undefined) this.#waiting.set(sku_id, [request]);
    else waiting.push(request);
    if (!this.#running.has(sku_id)) this.#running.set(sku_id, this.#run(sku_id));
  }

  async #run(sku_id: string): Promise<void> {
    // Requests that come at the same time share the first round.
    await pause(0);
    const lease = new RebalanceLease(this.#ports, sku_id);
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
  #take(sku_id: string): PendingStockRequest[] {
    const requests = this.#waiting.get(sku_id) ?? [];
    this.#waiting.delete(sku_id);
    for (const request of requests) if (request.isAnswered) putBackUnits(this.#ports, request);
    return requests.filter(({ isAnswered }) => !isAnswered);
  }

  /** Serves requests once. @returns the requests for the next round */
  async #round(
    sku_id: string,
    requests: readonly PendingStockRequest[],
    lease: RebalanceLease,
  ): Promise<PendingStockRequest[]> {
    const loaded = await this.#layoutOf(sku_id, stepOf(requests));
    if (loaded === null || 'reason' in loaded) return this.#fail(requests, loaded?.reason ?? 'the SKU is not split');
    const reads = requests.filter(({ request }) => request.isReadOnly === true);
    const others = requests.filter(({ request }) => request.isReadOnly !== true);
    const unleased =
      lease.isAcquired || others.length === 0 ? null : await this.#roundWithoutLease(loaded, others, stepOf(requests));
    // Requests that still wait try for the lease all the same, because requests served without it arrive all the time.
    const waiting = unleased === null ? requests : [...unleased, ...reads];
    if (waiting.length === 0 || !(await lease.take(stepOf(requests), performance.now() + PEEK_MS)) || unleased !== null)
      return [...waiting];
    let state = await this.#collect(loaded, stepOf(requests));
    if (await this.#overdue.receive(requests, state)) state = await this.#collect(loaded, stepOf(requests));
    if (state.fault === null && !areAllRowsOpenIn(loaded, state)) return this.#reloadLayout(sku_id, requests);
    const readFailures = await this.#answerReads(loaded, reads, state, lease);
    const again = await this.#refuse(
      loaded,
      others.filter(({ unitsMissing }) => unitsMissing > state.sellable),
      state,
      stepOf(requests),
    );
    const feasible = others.filter(({ unitsMissing }) => unitsMissing <= state.sellable);
    return [
      ...(feasible.length === 0 ? [] : await serveRequests(this.#ports, loaded, feasible, state, stepOf(requests))),
      ...again,
      ...readFailures,
    ];
  }

  /**
   * Answers requests that only read. No units were on their way at the first read, and none leave a row while this
   * gateway holds the lease, so the second read shows all rows as at one moment.
   *
   * @returns the requests that are still to be answered
   */
  async #answerReads(
    layout: Layout,
    reads: readonly PendingStockRequest[],
    state: AllRows,
    lease: RebalanceLease,
  ): Promise<PendingStockRequest[]> {
    if (reads.length === 0) return [];
    if (state.fault !== null) return this.#fail(reads, state.fault);
    if (state.transfers.length > 0) return [...reads];
    const second = await this.#collect(layout, stepOf(reads));
    // A gateway that took the lease meanwhile may have moved units past this read.
    if (second.fault === null && (second.transfers.length > 0 || !lease.isHeld)) return [...reads];
    for (const request of reads)
      request.answer(second.fault === null ? { is: 'seen', state: second } : { is: 'not_done', reason: second.fault });
    return [];
  }

  /** Handles a layout that has been replaced: a request for units ends, so that its caller finds its present row. */
  async #reloadLayout(sku_id: string, requests: readonly PendingStockRequest[]): Promise<PendingStockRequest[]> {
    await this.#ports.layouts.loadUsable(sku_id, stepOf(requests));
    for (const request of requests)
      if (request.request.units > 0) endRequest(this.#ports, request, { is: 'moved', sku_ids: [sku_id] });
    return requests.filter(({ request }) => request.units === 0);
  }

  /**
   * Answers requests without a lease when there is nothing to fetch and nothing to wait for.
   *
   * @returns the requests for the next round; null: they need the lease
   */
  async #roundWithoutLease(
    layout: Layout,
    requests: readonly PendingStockRequest[],
    untilMs: DeadlineMs,
  ): Promise<PendingStockRequest[] | null> {
    if (requests.every(({ wereRowsRead }) => wereRowsRead)) return this.#readOwnRows(layout, requests, untilMs);
    for (const request of requests) request.wereRowsRead = true;
    const state = await this.#collect(layout, untilMs);
    const others = answerServedRequests(requests, state.rows);
    if (others.length < requests.length) return others;
    if (state.transfers.length > 0) return null;
    if (state.leaved + state.held === 0 && requests.every(({ credits }) => credits.length === 0))
      return this.#refuse(layout, requests, state, untilMs);
    const isIdle =
      requests.every(({ request }) => request.units === 0) &&
      planRebalance(state.rows, [], takesNewIdsIn(layout)).moves.length === 0;
    if (!isIdle) return null;
    for (const request of requests) request.answer({ is: 'fetched', credits: [] });
    return [];
  }

  /**
   * Reads only the rows that the requests wait for: the gateway that has the lease may fill them up.
   *
   * @returns the requests that go on waiting; null: all of them
   */
  async #readOwnRows(
    { sku_id }: Layout,
    requests: readonly PendingStockRequest[],
    untilMs: DeadlineMs,
  ): Promise<PendingStockRequest[] | null> {
    const shards = new Set(requests.filter(({ request }) => request.units > 0).map(({ request }) => request.to.shard));
    const answers = await Promise.all([...shards].map((shard) => this.#ports.rows.readRows(shard, sku_id, untilMs)));
    const others = answerServedRequests(
      requests,
      answers.flatMap((answer) => (answer.is === 'found' ? answer.rows : [])),
    );
    return others.length < requests.length ? others : null;
  }

  async #layoutOf(sku_id: string, untilMs: DeadlineMs): Promise<Layout | NotDone | null> {
    const known = this.#ports.layouts.cached(sku_id);
    if (known !== null) return known;
    const loaded = await this.#ports.layouts.load(sku_id, untilMs);
    return loaded.is === 'layout' ? loaded.layout : loaded;
  }

  #collect(layout: Layout, untilMs: DeadlineMs): Promise<AllRows> {
    return readAllRows(this.#ports.rows, layout, untilMs);
  }

  /** Refuses requests for more units than there are, when that is certain. @returns the requests for which it is not */
  async #refuse(
    layout: Layout,
    requests: readonly PendingStockRequest[],
    state: AllRows,
    untilMs: DeadlineMs,
  ): Promise<PendingStockRequest[]> {
    if (requests.length === 0) return [];
    if (state.fault === null && !areAllRowsOpenIn(layout, state)) return this.#reloadLayout(layout.sku_id, requests);
    const candidates: PendingStockRequest[] = [];
    for (const request of requests) {
      if (state.fault !== null) {
        const reason = `a row of the SKU could not be read: ${state.fault}`;
        endRequest(this.#ports, request, { is: 'not_done', reason });
      } else if (request.request.waitsForHolds && state.held > 0 && request.unitsMissing <= state.sellable + state.held)
        void this.#answerWithHolds(request, state, untilMs);
      else candidates.push(request);
    }
    if (candidates.length === 0) return [];
    const isSure = state.transfers.length === 0 && isSteady(state, await this.#collect(layout, untilMs));
    return candidates.filter((request) => {
      // Units that were fetched for a request are on their way and are in none of the sums.
      if (isSure && request.credits.length === 0) {
        request.answer({ is: 'short', leaved_amount: state.sellable, amount_in_rows: state.leaved });
        return false;
      }
      putBackUnits(this.#ports, request);
      return true;
    });
  }

  async #answerWithHolds(request: PendingStockRequest, state: AllRows, untilMs: DeadlineMs): Promise<void> {
    const { sku_id } = request.request;
    const shards = new Set<ShardIndex>(
      state.rows.filter(({ held_amount }) => held_amount > 0).map(({ shard }) => shard),
    );
    putBackUnits(this.#ports, request);
    try {
      const holds = (
        await Promise.all([...shards].map((shard) => this.#ports.rows.readHolds(shard, sku_id, untilMs)))
      ).flat();
      if (holds.length > 0) request.answer({ is: 'pending', holds });
      // The holds ended between the two reads.
      else if (!request.isAnswered) this.#add(request);
    } catch (error) {
      if (!(error instanceof RowsUnavailable)) this.#onFault(error);
      request.answer({ is: 'not_done', reason: 'holds could not be read' });
    }
  }

  /** @returns an empty list: no request is left for the next round */
  #fail(requests: readonly PendingStockRequest[], reason: string): PendingStockRequest[] {
    for (const request of requests) endRequest(this.#ports, request, { is: 'not_done', reason });
    return [];
  }
}
