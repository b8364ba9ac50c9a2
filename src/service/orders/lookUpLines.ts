import { RowsUnavailable } from '../../core/ports/hotRows.ts';
import { flowKeyText } from '../../core/types.ts';
import type { DeadlineMs, Flow, FlowKey, ShardIndex } from '../../core/types.ts';
import type { Misrouted } from '../../core/outcome.ts';
import { pause } from '../../core/async/pause.ts';
import { groupByCart, completeHoldsByCart } from '../carts/completeHolds.ts';
import {
  byShard,
  earlierShardsOf,
  isMisrouted,
  EXISTING_IDS_ONLY,
  pauseMsOf,
  routeByLayout,
} from '../routing/lineRouter.ts';
import type { RoutedToShard } from '../routing/lineRouter.ts';
import type { ServicePorts } from '../servicePorts.ts';

/** A deduction and the shard that has its flow. */
export interface FoundDeduction {
  readonly shard: ShardIndex;
  readonly flow: Flow;
}

/**
 * The line could not be read: its shard, the layout of its SKU or the record of its cart did not answer. It differs
 * from `none`: a deduction may exist.
 */
export interface LineUnavailable {
  readonly is: 'unavailable';
  /** For the log, never for the caller: it may name hosts. */
  readonly reason: string;
}

/** The result of a look-up for one line. */
export type LineRead = ({ readonly is: 'found' } & FoundDeduction) | { readonly is: 'none' } | LineUnavailable;

/** The part of the request's time that is reserved for the answer; a frozen shard may use up the rest. */
const ANSWER_MS = 200;
/** The part that is reserved for a second read, on the shard of an earlier layout. A read needs 500 ms to begin. */
const EARLIER_MS = 700;

/**
 * Looks up deductions, line by line. A shard that does not answer leaves only its own lines `unavailable`. The holds of
 * decided carts are completed first, so a flow is `pending` only while its cart is open.
 *
 * @param keys a key may be named twice
 * @returns one entry per key, in their order, before `deadlineMs`
 */
export async function lookUpLines(
  ports: ServicePorts,
  keys: readonly FlowKey[],
  deadlineMs: DeadlineMs,
): Promise<readonly LineRead[]> {
  const lines = new Map(
    keys.map(({ sku_id, order_detail_id }) => {
      const key = { sku_id, order_detail_id };
      return [flowKeyText(key), key] as const;
    }),
  );
  const lookUp = new LookUp(ports, deadlineMs - ANSWER_MS);
  await lookUp.read([...lines.values()], { flowShards: new Map(), isRefreshed: false, layoutReads: 0 });
  return keys.map((key) => lookUp.reads.get(flowKeyText(key)) ?? unavailable('the line was not read'));
}

/** Results of earlier rounds that the next round of the same lines needs. */
interface Progress {
  /** The shards that have the flows of some ids, by `flowKeyText`. */
  readonly flowShards: ReadonlyMap<string, ShardIndex>;
  /** Whether the slot map was read again. */
  readonly isRefreshed: boolean;
  /** How often the layout was read again. */
  readonly layoutReads: number;
}

/** The shard of an earlier layout that has the flow of an id, null: none has; or why one of them could not be read. */
type EarlierRead = { readonly shard: ShardIndex | null } | { readonly error: unknown };

interface RoutedLine extends RoutedToShard<FlowKey> {
  /** The owner shards of the id in earlier layouts. */
  readonly earlierShards: readonly ShardIndex[];
  /** Null: there are no `earlierShards`. */
  readonly earlierRead: Promise<EarlierRead> | null;
}

/** One look-up. The lines of each shard have rounds of their own, so that they wait for no other shard. */
class LookUp {
  readonly reads = new Map<string, LineRead>();
  readonly #ports: ServicePorts;
  readonly #untilMs: DeadlineMs;

  constructor(ports: ServicePorts, untilMs: DeadlineMs) {
    this.#ports = ports;
    this.#untilMs = untilMs;
  }

  /** Reads lines until each has its entry in `reads`. */
  async read(lines: readonly FlowKey[], progress: Progress): Promise<void> {
    // The present shard and the earlier shards must belong to one layout, so there is no `await` between the two.
    const routed = lines.map((line) => this.#route(line, progress));
    await Promise.all([...byShard(routed)].map(([shard, group]) => this.#readShard(shard, group, progress)));
  }

  #route({ sku_id, order_detail_id }: FlowKey, { flowShards }: Progress): RoutedLine {
    const line = { sku_id, order_detail_id };
    const shard = flowShards.get(flowKeyText(line));
    if (shard !== undefined) return { ...line, shard, row: EXISTING_IDS_ONLY, earlierShards: [], earlierRead: null };
    const { layouts, locator } = this.#ports.hot;
    const earlierShards = earlierShardsOf(layouts, line);
    const reads = earlierShards.map((earlier) => locator.find(earlier, line, this.#untilMs));
    const earlierRead = reads.length === 0 ? null : firstFound(reads);
    return { ...routeByLayout(this.#ports, line), earlierShards, earlierRead };
  }

  async #readShard(shard: ShardIndex, group: readonly RoutedLine[], progress: Progress): Promise<void> {
    if (performance.now() >= this.#untilMs)
      return this.#setAll(group, unavailable('the deadline passed before the line was read'));
    const reservedMs = group.some(({ earlierRead }) => earlierRead !== null) ? EARLIER_MS : 0;
    const answer = await this.#ports.reader.findFlows(shard, group, this.#untilMs - reservedMs);
    if (isMisrouted(answer)) return this.#readAgain(group, answer, progress);
    if (answer.is === 'not_done') return this.#readEarlier(group, unavailable(answer.reason), progress);
    const absent: RoutedLine[] = [];
    const held: (Flow & RoutedToShard<FlowKey>)[] = [];
    for (const [index, line] of group.entries()) {
      const flow = answer.flows[index] ?? null;
      // A void flow is an undone hold, which is no deduction.
      if (flow === null || flow.status === 'void') absent.push(line);
      else if (flow.status === 'pending') held.push({ ...flow, shard });
      else this.#set(line, { is: 'found', shard, flow });
    }
    await Promise.all([this.#readEarlier(absent, { is: 'none' }, progress), this.#completeHolds(held, progress)]);
  }

  /**
   * Reads the lines that a shard of an earlier layout has.
   *
   * @param fallback the result for lines that none of them has
   */
  async #readEarlier(lines: readonly RoutedLine[], fallback: LineRead, progress: Progress): Promise<void> {
    // Lines with the same earlier shards receive their answers at the same time.
    const groups = groupBy(lines, ({ earlierShards }) => earlierShards.join());
    await Promise.all(
      [...groups.values()].map(async (group) => {
        const flowShards = new Map(progress.flowShards);
        const found: RoutedLine[] = [];
        for (const line of group) {
          const earlier = (await line.earlierRead) ?? { shard: null };
          if ('error' in earlier) {
            if (!(earlier.error instanceof RowsUnavailable)) throw earlier.error;
            this.#set(line, unavailable(earlier.error.message));
          } else if (earlier.shard === null) {
            this.#set(line, fallback);
          } else {
            flowShards.set(flowKeyText(line), earlier.shard);
            found.push(line);
          }
        }
        if (found.length > 0) await this.read(found, { ...progress, flowShards });
      }),
    );
  }

  /** Completes the holds of decided carts, and reads their lines again. */
  async #completeHolds(held: readonly (Flow & RoutedToShard<FlowKey>)[], progress: Progress): Promise<void> {
    await Promise.all(
      [...groupByCart(held).values()].map(async (ofCart) => {
        const completion = await completeHoldsByCart(this.#ports, ofCart, this.#untilMs);
        if (completion.has('settled')) return this.read(ofCart, progress);
        for (const { shard, ...flow } of ofCart) {
          this.#set(
            flow,
            completion.has('open')
              ? { is: 'found', shard, flow }
              : unavailable('the record of a cart could not be read'),
          );
        }
      }),
    );
  }

  /** Routes lines again as the shard's answer demands, and reads them again. */
  async #readAgain(group: readonly RoutedLine[], redirect: Misrouted, progress: Progress): Promise<void> {
    switch (redirect.is) {
      case 'elsewhere': {
        const pointed = redirect.flows.map(({ shard, ...key }) => [flowKeyText(key), shard] as const);
        return this.read(group, { ...progress, flowShards: new Map([...progress.flowShards, ...pointed]) });
      }
      case 'not_mine':
        return this.#readAtOwners(group, progress);
      case 'moved': {
        const moved = new Set(redirect.sku_ids);
        const groups = groupBy(
          group.filter(({ sku_id }) => moved.has(sku_id)),
          ({ sku_id }) => sku_id,
        );
        const others = group.filter(({ sku_id }) => !moved.has(sku_id));
        await Promise.all([
          this.read(others, progress),
          ...[...groups].map(([sku_id, lines]) => this.#readWithNewLayout(sku_id, lines, progress)),
        ]);
      }
    }
  }

  async #readAtOwners(group: readonly RoutedLine[], progress: Progress): Promise<void> {
    if (!progress.isRefreshed) {
      // The refresh has a time limit of its own; this look-up waits for it until its own deadline at most.
      await Promise.race([this.#ports.routing.refresh(), pause(Math.max(0, this.#untilMs - performance.now()))]);
      return this.read(group, { ...progress, isRefreshed: true });
    }
    // The answer does not name the SKU, so each SKU is read alone: the shard may own the slots of the others.
    const groups = [...groupBy(group, ({ sku_id }) => sku_id).values()];
    if (groups.length === 1) return this.#setAll(group, unavailable('no shard reports that it owns the slot'));
    await Promise.all(groups.map((lines) => this.read(lines, progress)));
  }

  async #readWithNewLayout(sku_id: string, lines: readonly RoutedLine[], progress: Progress): Promise<void> {
    const loaded = await this.#ports.hot.layouts.loadUsable(sku_id, this.#untilMs);
    if (loaded.is === 'not_done') return this.#setAll(lines, unavailable(loaded.reason));
    const layoutReads = progress.layoutReads + 1;
    await pause(pauseMsOf(layoutReads));
    return this.read(lines, { ...progress, flowShards: new Map(), layoutReads });
  }

  #set(line: FlowKey, read: LineRead): void {
    this.reads.set(flowKeyText(line), read);
  }

  #setAll(lines: readonly FlowKey[], read: LineRead): void {
    for (const line of lines) this.#set(line, read);
  }
}

/** The first shard that has the id. If none has it and a read failed, the error. The promise never rejects. */
function firstFound(reads: readonly Promise<{ readonly shard: ShardIndex } | null>[]): Promise<EarlierRead> {
  return new Promise((resolve) => {
    const answered = reads.map(async (read) => {
      const found = await read;
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

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return groups;
}
