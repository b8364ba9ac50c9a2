import { RowsAway } from '../core/hotPorts.ts';
import { flowKeyText } from '../core/nouns.ts';
import type { DeadlineMs, Flow, FlowKey, ShardIndex } from '../core/nouns.ts';
import type { Misplaced } from '../core/outcome.ts';
import { byCart, freeEach, pause } from './freeHolds.ts';
import { byShard, earlierHomesOf, isMisplaced, PAST, pauseMsOf, placeByLayout } from './hot/placing.ts';
import type { At } from './hot/placing.ts';
import type { Parts } from './parts.ts';

/** A deduction and where it lies. */
export interface FoundDeduction {
  readonly shard: ShardIndex;
  readonly flow: Flow;
}

/** A line was not read: its shard, its SKU's layout or the record of its cart does not answer. Never the same as `none`. */
export interface LineUnavailable {
  readonly is: 'unavailable';
  /** For the log, never for the caller: it may name hosts. */
  readonly reason: string;
}

/** The result of a look-up for one line. */
export type LineRead = ({ readonly is: 'found' } & FoundDeduction) | { readonly is: 'none' } | LineUnavailable;

/** Kept of the request's time for the answer: a frozen shard may take all the rest. */
const ANSWER_MS = 200;

/**
 * Looks up deductions, line by line. A shard that does not answer leaves only its own lines `unavailable`. Holds of decided
 * carts are settled first, so a flow is `pending` only while its cart is open.
 *
 * @param keys a key may be named twice
 * @returns one entry per key, in their order, before `deadlineMs`
 */
export async function lookUpLines(
  parts: Parts,
  keys: readonly FlowKey[],
  deadlineMs: DeadlineMs,
): Promise<readonly LineRead[]> {
  const lines = new Map(
    keys.map(({ sku_id, order_detail_id }) => {
      const key = { sku_id, order_detail_id };
      return [flowKeyText(key), key] as const;
    }),
  );
  const lookUp = new LookUp(parts, deadlineMs - ANSWER_MS);
  await lookUp.read([...lines.values()], { standing: new Map(), isRefreshed: false, moves: 0 });
  return keys.map((key) => lookUp.reads.get(flowKeyText(key)) ?? unavailable('the line was not read'));
}

/** Results of earlier rounds that the next round of the same lines needs. */
interface Course {
  /** Shards where the flows of some ids stand, by `flowKeyText`. */
  readonly standing: ReadonlyMap<string, ShardIndex>;
  /** Whether the slot map was read again. */
  readonly isRefreshed: boolean;
  /** How often the layout was read again. */
  readonly moves: number;
}

/** Where an id stands among its earlier homes: the shard, or null for none of them; or why one could not be asked. */
type Earlier = { readonly shard: ShardIndex | null } | { readonly error: unknown };

interface AskedLine extends At<FlowKey> {
  readonly homes: readonly ShardIndex[];
  /** Null: it has no earlier homes. */
  readonly earlier: Promise<Earlier> | null;
}

/** One look-up. The lines of each shard go through their rounds alone, so that they wait for no other shard. */
class LookUp {
  readonly reads = new Map<string, LineRead>();
  readonly #parts: Parts;
  readonly #untilMs: DeadlineMs;

  constructor(parts: Parts, untilMs: DeadlineMs) {
    this.#parts = parts;
    this.#untilMs = untilMs;
  }

  /** Reads some lines to their end: each has its entry in `reads` afterwards. */
  async read(lines: readonly FlowKey[], course: Course): Promise<void> {
    // Home and earlier homes must belong to one layout, so nothing is waited for between them.
    const asked = lines.map((line) => this.#ask(line, course));
    await Promise.all([...byShard(asked)].map(([shard, group]) => this.#readOn(shard, group, course)));
  }

  #ask({ sku_id, order_detail_id }: FlowKey, { standing }: Course): AskedLine {
    const line = { sku_id, order_detail_id };
    const shard = standing.get(flowKeyText(line));
    if (shard !== undefined) return { ...line, shard, row: PAST, homes: [], earlier: null };
    const { layouts, locator } = this.#parts.hot;
    const homes = earlierHomesOf(layouts, line);
    const earlier =
      homes.length === 0 ? null : firstStanding(homes.map((home) => locator.find(home, line, this.#untilMs)));
    return { ...placeByLayout(this.#parts, line), homes, earlier };
  }

  async #readOn(shard: ShardIndex, group: readonly AskedLine[], course: Course): Promise<void> {
    if (performance.now() >= this.#untilMs)
      return this.#noteAll(group, unavailable('the deadline passed before the line was read'));
    const answer = await this.#parts.reader.findFlows(shard, group, this.#untilMs);
    if (isMisplaced(answer)) return this.#readAgain(group, answer, course);
    if (answer.is === 'not_done') return this.#readEarlier(group, unavailable(answer.reason), course);
    const absent: AskedLine[] = [];
    const held: (Flow & At<FlowKey>)[] = [];
    for (const [place, line] of group.entries()) {
      const flow = answer.flows[place] ?? null;
      // An undone hold is no deduction.
      if (flow === null || flow.status === 'void') absent.push(line);
      else if (flow.status === 'pending') held.push({ ...flow, shard });
      else this.#note(line, { is: 'found', shard, flow });
    }
    await Promise.all([this.#readEarlier(absent, { is: 'none' }, course), this.#settle(held, course)]);
  }

  /** Reads lines at their earlier homes, where they stand there. @param otherwise the result for lines that stand at none */
  async #readEarlier(lines: readonly AskedLine[], otherwise: LineRead, course: Course): Promise<void> {
    // Lines with the same earlier homes have their answers at the same time.
    const groups = groupBy(lines, ({ homes }) => homes.join());
    await Promise.all(
      [...groups.values()].map(async (group) => {
        const standing = new Map(course.standing);
        const found: AskedLine[] = [];
        for (const line of group) {
          const earlier = (await line.earlier) ?? { shard: null };
          if ('error' in earlier) {
            if (!(earlier.error instanceof RowsAway)) throw earlier.error;
            this.#note(line, unavailable(earlier.error.message));
          } else if (earlier.shard === null) {
            this.#note(line, otherwise);
          } else {
            standing.set(flowKeyText(line), earlier.shard);
            found.push(line);
          }
        }
        if (found.length > 0) await this.read(found, { ...course, standing });
      }),
    );
  }

  /** Settles the holds of decided carts, and reads their lines again. */
  async #settle(held: readonly (Flow & At<FlowKey>)[], course: Course): Promise<void> {
    await Promise.all(
      [...byCart(held).values()].map(async (ofCart) => {
        const freed = await freeEach(this.#parts, ofCart, this.#untilMs);
        if (freed.has('settled')) return this.read(ofCart, course);
        for (const { shard, ...flow } of ofCart) {
          this.#note(
            flow,
            freed.has('open') ? { is: 'found', shard, flow } : unavailable('the record of a cart could not be read'),
          );
        }
      }),
    );
  }

  /** Corrects the places of lines, and reads them again. */
  async #readAgain(group: readonly AskedLine[], misplaced: Misplaced, course: Course): Promise<void> {
    switch (misplaced.is) {
      case 'elsewhere': {
        const pointed = misplaced.flows.map(({ shard, ...key }) => [flowKeyText(key), shard] as const);
        return this.read(group, { ...course, standing: new Map([...course.standing, ...pointed]) });
      }
      case 'not_mine':
        return this.#readAtOwners(group, course);
      case 'moved': {
        const moved = new Set(misplaced.sku_ids);
        const groups = groupBy(
          group.filter(({ sku_id }) => moved.has(sku_id)),
          ({ sku_id }) => sku_id,
        );
        const others = group.filter(({ sku_id }) => !moved.has(sku_id));
        await Promise.all([
          this.read(others, course),
          ...[...groups].map(([sku_id, lines]) => this.#readMoved(sku_id, lines, course)),
        ]);
      }
    }
  }

  async #readAtOwners(group: readonly AskedLine[], course: Course): Promise<void> {
    if (!course.isRefreshed) {
      // The map is read by its own clock; this look-up waits no longer than it has time.
      await Promise.race([this.#parts.routing.refresh(), pause(Math.max(0, this.#untilMs - performance.now()))]);
      return this.read(group, { ...course, isRefreshed: true });
    }
    // The answer does not name the SKU, so each is asked for alone: the others may be where they are expected.
    const groups = [...groupBy(group, ({ sku_id }) => sku_id).values()];
    if (groups.length === 1) return this.#noteAll(group, unavailable('no shard reports that it owns the slot'));
    await Promise.all(groups.map((lines) => this.read(lines, course)));
  }

  async #readMoved(sku_id: string, lines: readonly AskedLine[], course: Course): Promise<void> {
    const loaded = await this.#parts.hot.layouts.loadUsable(sku_id, this.#untilMs);
    if (loaded.is === 'not_done') return this.#noteAll(lines, unavailable(loaded.reason));
    const moves = course.moves + 1;
    await pause(pauseMsOf(moves));
    return this.read(lines, { ...course, standing: new Map(), moves });
  }

  #note(line: FlowKey, read: LineRead): void {
    this.reads.set(flowKeyText(line), read);
  }

  #noteAll(lines: readonly FlowKey[], read: LineRead): void {
    for (const line of lines) this.#note(line, read);
  }
}

/** The first shard that has the id; only when none has it, whether all of them answered. Never rejects. */
function firstStanding(asks: readonly Promise<{ readonly shard: ShardIndex } | null>[]): Promise<Earlier> {
  return new Promise((resolve) => {
    const answered = asks.map(async (ask) => {
      const found = await ask;
      if (found !== null) resolve({ shard: found.shard });
    });
    void Promise.allSettled(answered).then((all) => {
      const failed = all.find((one) => one.status === 'rejected');
      resolve(failed === undefined ? { shard: null } : { error: failed.reason as unknown });
    });
  });
}

function unavailable(reason: string): LineUnavailable {
  return { is: 'unavailable', reason };
}

function groupBy<T>(things: readonly T[], keyOf: (thing: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const thing of things) {
    const group = groups.get(keyOf(thing));
    if (group === undefined) groups.set(keyOf(thing), [thing]);
    else group.push(thing);
  }
  return groups;
}
