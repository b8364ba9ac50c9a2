import { RowsAway } from '../../core/hotPorts.ts';
import type { Layout } from '../../core/layout.ts';
import { planMoves } from '../../core/moves.ts';
import type { DeadlineMs, RowPlace, ShardIndex } from '../../core/nouns.ts';
import type { NotDone } from '../../core/outcome.ts';
import { pause } from '../freeHolds.ts';
import { Ask, sendAgain } from './ask.ts';
import type { Gathered, Wish } from './ask.ts';
import { collect, isCurrent, isHomeIn, isSteady } from './collect.ts';
import type { Collected } from './collect.ts';
import type { LayoutCache } from './layoutCache.ts';
import { receiveAll, sendAll } from './transfers.ts';
import type { Sent, TransferParts } from './transfers.ts';
import { Turn } from './turn.ts';
import type { TurnParts } from './turn.ts';

export interface GatherParts extends TransferParts, TurnParts {
  /** The server of each shard, by its index. */
  readonly servers: readonly string[];
  readonly layouts: LayoutCache;
}

const PAUSE_MS = 3;
/** What is on its way for so long belongs to somebody who does not bring it. */
const LEFT_MS = 400;
const TRY_AGAIN_MS = 1_000;
const BRING_MS = 50;
/** How often who has no turn looks whether his row was filled up by who has it. */
const PEEK_MS = 10;
const NOWHERE: RowPlace = { shard: 0, sub_row: 0 };
/** For a lone reading or writing; a shard that takes longer is not waited for. */
const STEP_MS = 1_000;
const SPREAD_MS = 1_000;

/**
 * Brings units of a split SKU to where they are wanted. One gateway at a time does so for a SKU, and in it one round at a time
 * for all who ask: read all rows, take units off those that have them, hand each what left for him. Whoever cannot be served
 * hears so only when two looks at all rows saw the same.
 */
export class Gatherer {
  readonly #parts: GatherParts;
  readonly #asks = new Map<string, Ask[]>();
  readonly #running = new Map<string, Promise<void>>();
  /** Transfers that were brought in, or could not be, and until when they are left alone. */
  readonly #tried = new Map<string, DeadlineMs>();
  readonly #onFault: (error: unknown) => void;

  /** @param onFault told of what no code foresaw */
  constructor(parts: GatherParts, onFault: (error: unknown) => void) {
    this.#parts = parts;
    this.#onFault = onFault;
  }

  /** Fetches units for somebody who found too few in his row. What was fetched is to be used, or put back by `receiveAll`. */
  gather(wish: Wish, deadlineMs: DeadlineMs): Promise<Gathered> {
    return new Promise((resolve) => this.#add(new Ask(wish, deadlineMs, resolve)));
  }

  /** Empties closed rows and fills up those that run low; nothing is waited for longer than the deadline. */
  async level(sku_id: string, deadlineMs: DeadlineMs): Promise<void> {
    await this.gather({ sku_id, to: NOWHERE, units: 0, waitsForHolds: false }, deadlineMs);
  }

  /**
   * Brings the units of a SKU that has just been laid out to the rows it is to have, while they are being opened: who comes first finds
   * them there. Where another gateway has the turn, it does so.
   */
  async spread(layout: Layout): Promise<void> {
    const untilMs = performance.now() + SPREAD_MS;
    const turn = new Turn(this.#parts, layout.sku_id);
    if (!(await turn.take(untilMs, performance.now() + PEEK_MS))) return;
    try {
      const { rows, fault } = await this.#collect(layout, untilMs);
      if (fault !== null) return;
      const { moves } = planMoves(rows, [], ({ shard, sub_row }) => layout.places[sub_row] === shard);
      const sent = await sendAll(this.#parts, layout.sku_id, moves, untilMs);
      await receiveAll(
        this.#parts,
        sent.flatMap(({ transfer }) => transfer ?? []),
        untilMs,
      );
    } finally {
      await turn.end();
    }
  }

  /** Reads all rows while nobody sends units from one to another. */
  async look(sku_id: string, deadlineMs: DeadlineMs): Promise<Collected | NotDone> {
    const gathered = await this.gather(
      { sku_id, to: NOWHERE, units: 0, waitsForHolds: false, isLook: true },
      deadlineMs,
    );
    if (gathered.is === 'seen') return gathered.state;
    return gathered.is === 'not_done' ? gathered : { is: 'not_done', reason: 'the rows of the SKU could not be read' };
  }

  #add(ask: Ask): void {
    const { sku_id } = ask.wish;
    const waiting = this.#asks.get(sku_id);
    if (waiting === undefined) this.#asks.set(sku_id, [ask]);
    else waiting.push(ask);
    if (!this.#running.has(sku_id)) this.#running.set(sku_id, this.#run(sku_id));
  }

  async #run(sku_id: string): Promise<void> {
    // Who asks at the same time goes along.
    await pause(0);
    const turn = new Turn(this.#parts, sku_id);
    try {
      for (let asks = this.#take(sku_id); asks.length > 0; asks = this.#take(sku_id)) {
        const again = await this.#round(sku_id, asks, turn).catch((error: unknown) => {
          this.#onFault(error);
          return this.#fail(asks, 'what was wanted could not be brought');
        });
        if (again.length > 0) {
          this.#asks.set(sku_id, [...again, ...(this.#asks.get(sku_id) ?? [])]);
          await pause(PAUSE_MS);
        }
      }
    } finally {
      this.#running.delete(sku_id);
      await turn.end().catch(this.#onFault);
    }
  }

  /** Those who wait; what was fetched for one who does not any more is put back. */
  #take(sku_id: string): Ask[] {
    const asks = this.#asks.get(sku_id) ?? [];
    this.#asks.delete(sku_id);
    for (const ask of asks) if (ask.isOver) this.#putBack(ask);
    return asks.filter(({ isOver }) => !isOver);
  }

  /** @returns who is to be served in the next round */
  async #round(sku_id: string, asks: readonly Ask[], turn: Turn): Promise<Ask[]> {
    const loaded = await this.#layoutOf(sku_id, stepOf(asks));
    if (loaded === null || 'reason' in loaded) return this.#fail(asks, loaded?.reason ?? 'the SKU is not split');
    const looks = asks.filter(({ wish }) => wish.isLook === true);
    const others = asks.filter(({ wish }) => wish.isLook !== true);
    const glanced = turn.isTaken || others.length === 0 ? null : await this.#glance(loaded, others, stepOf(asks));
    // Those who are still waiting try for the turn all the same: others who are served without it come all the time.
    const waiting = glanced === null ? asks : [...glanced, ...looks];
    if (waiting.length === 0 || !(await turn.take(stepOf(asks), performance.now() + PEEK_MS)) || glanced !== null)
      return [...waiting];
    let state = await this.#collect(loaded, stepOf(asks));
    if (await this.#bringIn(asks, state)) state = await this.#collect(loaded, stepOf(asks));
    if (state.fault === null && !isCurrent(loaded, state)) return this.#askAnew(sku_id, asks);
    const unseen = await this.#show(loaded, looks, state, turn);
    const again = await this.#refuse(
      loaded,
      others.filter(({ lack }) => lack > state.sellable),
      state,
      stepOf(asks),
    );
    const feasible = others.filter(({ lack }) => lack <= state.sellable);
    return [
      ...(feasible.length === 0 ? [] : await this.#serve(loaded, feasible, state, stepOf(asks))),
      ...again,
      ...unseen,
    ];
  }

  /** Nothing leaves a row in this turn until then, and nothing was on its way: what is read now is read as at one moment. */
  async #show(layout: Layout, looks: readonly Ask[], state: Collected, turn: Turn): Promise<Ask[]> {
    if (looks.length === 0) return [];
    if (state.fault !== null) return this.#fail(looks, state.fault);
    if (state.transfers.length > 0) return [...looks];
    const seen = await this.#collect(layout, stepOf(looks));
    // A gateway that took the lease meanwhile may have moved units past this read.
    if (seen.fault === null && (seen.transfers.length > 0 || !turn.isHeld)) return [...looks];
    for (const ask of looks)
      ask.tell(seen.fault === null ? { is: 'seen', state: seen } : { is: 'not_done', reason: seen.fault });
    return [];
  }

  /** Another layout has taken the place of the one that was thought of: who wants units looks where his row is now. */
  async #askAnew(sku_id: string, asks: readonly Ask[]): Promise<Ask[]> {
    await this.#parts.layouts.loadUsable(sku_id, stepOf(asks));
    for (const ask of asks) if (ask.wish.units > 0) this.#end(ask, { is: 'moved', sku_ids: [sku_id] });
    return asks.filter(({ wish }) => wish.units === 0);
  }

  /** Where there is nothing to fetch and nothing to wait for, it is said without a turn. @returns who is to be asked again; null: it needs one */
  async #glance(layout: Layout, asks: readonly Ask[], untilMs: DeadlineMs): Promise<Ask[] | null> {
    if (asks.every(({ wasSeen }) => wasSeen)) return this.#peek(layout, asks, untilMs);
    for (const ask of asks) ask.wasSeen = true;
    const state = await this.#collect(layout, untilMs);
    const others = sendAgain(asks, state.rows);
    if (others.length < asks.length) return others;
    if (state.transfers.length > 0) return null;
    if (state.leaved + state.held === 0 && asks.every(({ credits }) => credits.length === 0))
      return this.#refuse(layout, asks, state, untilMs);
    const isIdle =
      asks.every(({ wish }) => wish.units === 0) && planMoves(state.rows, [], isHomeIn(layout)).moves.length === 0;
    if (!isIdle) return null;
    for (const ask of asks) ask.tell({ is: 'fetched', credits: [] });
    return [];
  }

  /** While another gateway has the turn, it may fill up the very rows that somebody waits for here. @returns who goes on waiting; null: all do */
  async #peek({ sku_id }: Layout, asks: readonly Ask[], untilMs: DeadlineMs): Promise<Ask[] | null> {
    const shards = new Set(asks.filter(({ wish }) => wish.units > 0).map(({ wish }) => wish.to.shard));
    const answers = await Promise.all([...shards].map((shard) => this.#parts.rows.readRows(shard, sku_id, untilMs)));
    const others = sendAgain(
      asks,
      answers.flatMap((answer) => (answer.is === 'found' ? answer.rows : [])),
    );
    return others.length < asks.length ? others : null;
  }

  /** Brings in what somebody left; a shard that is away is not waited for, and not tried again for a while. @returns whether there was something */
  async #bringIn(asks: readonly Ask[], { transfers }: Collected): Promise<boolean> {
    const nowMs = performance.now();
    for (const [transfer_id, untilMs] of this.#tried) if (untilMs <= nowMs) this.#tried.delete(transfer_id);
    // One to a shard that does not exist stays open: its units are in no row, so the SKU is not sold out.
    const exists = ({ to }: { to: RowPlace }): boolean => to.shard < this.#parts.servers.length;
    const due = transfers.filter((each) => each.ageMs >= LEFT_MS && exists(each) && !this.#tried.has(each.transfer_id));
    if (due.length === 0) return false;
    const ids = new Set(due.map(({ transfer_id }) => transfer_id));
    for (const transfer_id of ids) this.#tried.set(transfer_id, nowMs + TRY_AGAIN_MS);
    // What was fetched for somebody who took so long is at home then, and anybody's.
    for (const ask of asks) ask.credits = ask.credits.filter(({ transfer_id }) => !ids.has(transfer_id));
    await Promise.race([receiveAll(this.#parts, due, nowMs + STEP_MS), pause(BRING_MS)]);
    return true;
  }

  async #layoutOf(sku_id: string, untilMs: DeadlineMs): Promise<Layout | NotDone | null> {
    const known = this.#parts.layouts.known(sku_id);
    if (known !== null) return known;
    const loaded = await this.#parts.layouts.load(sku_id, untilMs);
    return loaded.is === 'layout' ? loaded.layout : loaded;
  }

  #collect(layout: Layout, untilMs: DeadlineMs): Promise<Collected> {
    return collect(this.#parts.rows, layout, untilMs);
  }

  /** Takes units off their rows for those who can be served, and to fill up rows that run low. @returns those who must be asked for again */
  async #serve(layout: Layout, asks: readonly Ask[], state: Collected, untilMs: DeadlineMs): Promise<Ask[]> {
    const wants = asks.map(({ wish, lack }) => ({ to: wish.to, units: lack }));
    const { moves, unserved } = planMoves(state.rows, wants, isHomeIn(layout));
    const sent = await sendAll(this.#parts, layout.sku_id, moves, untilMs);
    const ahead = sent.flatMap(({ move, transfer }) => (move.want === null && transfer !== null ? [transfer] : []));
    const handOver = (isMeant: (wish: Wish) => boolean): Ask[] =>
      asks.filter(
        (ask, want) =>
          isMeant(ask.wish) &&
          (unserved.includes(want) ||
            !this.#hand(
              ask,
              sent.filter(({ move }) => move.want === want),
            )),
      );
    const again = handOver(({ units }) => units > 0);
    if (ahead.length > 0) await receiveAll(this.#parts, ahead, untilMs);
    // Who wants nothing for himself waits for what was brought ahead.
    return [...again, ...handOver(({ units }) => units === 0)];
  }

  /** Hands somebody what left for him. @returns false when it is not all yet */
  #hand(ask: Ask, sent: readonly Sent[]): boolean {
    ask.credits = [...ask.credits, ...sent.flatMap(({ transfer }) => transfer ?? [])];
    if (ask.lack > 0) {
      if (sent.every(({ transfer, isShort }) => transfer !== null || isShort)) return false;
      this.#end(ask, { is: 'not_done', reason: 'a row that has units could not be reached' });
    } else if (ask.isOver) this.#putBack(ask);
    else ask.tell({ is: 'fetched', credits: ask.credits });
    return true;
  }

  /** Tells those who want more than there is, when it is sure. @returns those of whom it is not */
  async #refuse(layout: Layout, asks: readonly Ask[], state: Collected, untilMs: DeadlineMs): Promise<Ask[]> {
    if (asks.length === 0) return [];
    if (state.fault === null && !isCurrent(layout, state)) return this.#askAnew(layout.sku_id, asks);
    const sure: Ask[] = [];
    for (const ask of asks) {
      if (state.fault !== null)
        this.#end(ask, { is: 'not_done', reason: `a row of the SKU could not be read: ${state.fault}` });
      else if (ask.wish.waitsForHolds && state.held > 0 && ask.lack <= state.sellable + state.held)
        void this.#tellHolds(ask, state, untilMs);
      else sure.push(ask);
    }
    if (sure.length === 0) return [];
    const isSure = state.transfers.length === 0 && isSteady(state, await this.#collect(layout, untilMs));
    return sure.filter((ask) => {
      // What was fetched for him is on its way and counted nowhere.
      if (isSure && ask.credits.length === 0) {
        ask.tell({ is: 'short', leaved_amount: state.sellable, lying_amount: state.leaved });
        return false;
      }
      this.#putBack(ask);
      return true;
    });
  }

  async #tellHolds(ask: Ask, state: Collected, untilMs: DeadlineMs): Promise<void> {
    const shards = new Set<ShardIndex>(
      state.rows.filter(({ held_amount }) => held_amount > 0).map(({ shard }) => shard),
    );
    this.#putBack(ask);
    try {
      const holds = (
        await Promise.all([...shards].map((shard) => this.#parts.rows.readHolds(shard, ask.wish.sku_id, untilMs)))
      ).flat();
      if (holds.length > 0) ask.tell({ is: 'pending', holds });
      // They went between two looks.
      else if (!ask.isOver) this.#add(ask);
    } catch (error) {
      if (!(error instanceof RowsAway)) this.#onFault(error);
      ask.tell({ is: 'not_done', reason: 'holds could not be read' });
    }
  }

  /** @returns nobody */
  #fail(asks: readonly Ask[], reason: string): Ask[] {
    for (const ask of asks) this.#end(ask, { is: 'not_done', reason });
    return [];
  }

  #end(ask: Ask, gathered: Gathered): void {
    ask.tell(gathered);
    this.#putBack(ask);
  }

  /** Behind everybody's back: a shard that is away holds up nobody. */
  #putBack(ask: Ask): void {
    const { credits } = ask;
    ask.credits = [];
    if (credits.length > 0) void receiveAll(this.#parts, credits, performance.now() + STEP_MS);
  }
}

/** Until when one step of a round may take, for the one who waits longest. */
function stepOf(asks: readonly Ask[]): DeadlineMs {
  return Math.min(performance.now() + STEP_MS, Math.max(...asks.map(({ deadlineMs }) => deadlineMs)));
}
