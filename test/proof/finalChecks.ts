import { setTimeout as sleep } from 'node:timers/promises';
import type { Violation } from './rules/books.ts';
import { sendLookUp, lookUpOne, sendStockRead, resend, sendAdjustment, sendOrder } from './calls.ts';
import type { Scene } from './calls.ts';
import { isResolvedBy, evidenceOf } from './rules/inDoubt.ts';
import { isWrite, overAtMs } from './rules/effects.ts';
import { isInProgress, readFinalState } from './rules/finalState.ts';
import { isScarce, scarceOf } from './skus.ts';
import type { RoundSkus } from './skus.ts';
import type { Entry, FinalState, Write } from './history.ts';
import { BENCH_OPERATIONS } from './operations.ts';
import type { TrafficOperation } from './trafficOperation.ts';
import type { ProofWorld } from './world.ts';

/** I7, I9: an in-doubt write is resolved, and a cart decided, at the latest this long after its shard is back. */
const RESOLVE_MS_MAX = 30_000;
/** The same for requests that were sent without any fault: no request waits for a shard then. */
const SETTLE_MS_MAX = 5_000;
export const CALL_MS = 6_000;
const SENT_AGAIN = 60;
const PARALLEL_MAX = 8;
/** Units of the last restock of each scarce SKU. */
const RESTOCK = 1;
/** Before the last restock the SKU is ordered at this interval, and for this long. */
const ORDER_INTERVAL_MS = 100;
const ORDERED_MS = 600;

export interface Resolved {
  /**
   * For each write that was in doubt at the end of the faults: how long after that, and after its own attempt was over,
   * it was resolved.
   */
  readonly resolveMs: readonly number[];
  readonly violations: readonly Violation[];
}

/** Looks up the writes that are still in doubt, or sends them again, as a shop would, until each is resolved. */
export async function resolveInDoubt(scene: Scene, healedMs: number): Promise<Resolved> {
  const history = [...scene.history];
  const unknown = history
    .filter(isWrite)
    .filter(
      (write) =>
        write.verdict === 'unknown' && !evidenceOf(write, history).some((evidence) => isResolvedBy(write, evidence)),
    );
  const resolveMs = await Promise.all(
    unknown.map(async (write) => {
      await waitUntil(`resolving ${JSON.stringify(write).slice(0, 200)}`, () => resolveOnce(scene, write));
      return Math.max(0, performance.now() - Math.max(healedMs, overAtMs(write)));
    }),
  );
  const late = resolveMs.filter((ms) => ms > RESOLVE_MS_MAX);
  return {
    resolveMs,
    violations: late.map((ms) => ({
      invariant: 'I9',
      what: `an in-doubt write was resolved after ${Math.round(ms)} ms`,
    })),
  };
}

/** Looks up a write or sends it again. @returns whether the answer shows how the write ended */
async function resolveOnce(scene: Scene, write: Write): Promise<boolean> {
  if (write.kind === 'deduction' && scene.random.chance(0.5))
    return isResolvedBy(write, { kind: 'looked up', answers: await sendLookUp(scene, write.lines) });
  return isResolvedBy(write, { kind: 'again', answer: await resend(scene, write) });
}

/** Waits until no unanswered attempt can take effect any more. */
export async function lastAttemptOver(scene: Scene): Promise<void> {
  // Resizes are left out: a layout that changes late changes no sale, and the final state is read when layouts are
  // done.
  const overMs = Math.max(
    0,
    ...scene.history
      .filter(isWrite)
      .filter(({ kind }) => kind !== 'resize')
      .map(overAtMs),
  );
  await sleep(Math.max(0, overMs - performance.now()));
}

/** Repeats every operation until it has ended as expected: a product that does nothing breaks no other rule. */
export async function everyOperationEnds(
  scene: Scene,
  lasts: ReadonlyMap<string, readonly Entry[]>,
  isBroken: boolean,
): Promise<void> {
  const missing = BENCH_OPERATIONS.filter(
    (operation) =>
      isBroken || !(lasts.get(operation.name) ?? []).some((last) => hasExpectedEnd(operation, last, false)),
  );
  for (const operation of missing) {
    await waitUntil(`'${operation.name}' ends as expected`, async () => {
      const last = await operation.run(scene);
      return last !== null && hasExpectedEnd(operation, last, isBroken);
    });
  }
}

/** Whether an operation ended as expected. Where faults were injected, any definite answer will do. */
export function hasExpectedEnd(
  { ends }: Pick<TrafficOperation, 'ends'>,
  { verdict }: Entry,
  isBroken: boolean,
): boolean {
  return verdict === (ends ?? 'done') || (isBroken && (verdict === 'done' || verdict === 'refused'));
}

/**
 * Without faults at least half of the writes must get a definite answer. Not all must: on a machine that stalls for
 * seconds a breaker opens.
 */
export function undecidedWrites(history: readonly Entry[]): Violation[] {
  const writes = history.filter(isWrite);
  const open = writes.filter(({ verdict }) => verdict === 'undone' || verdict === 'unknown');
  if (open.length * 2 <= writes.length) return [];
  return [
    {
      invariant: 'contract',
      what:
        `${open.length} of ${writes.length} writes got no definite answer without a fault: ` +
        `${open[0]?.code ?? 'no answer'}`,
    },
  ];
}

/** Waits until each gateway serves each shard again, with no trace of the faults in breakers and pools (I9, I10). */
export async function everyGatewayServes(world: ProofWorld, goods: RoundSkus): Promise<void> {
  const cool = [...goods.opening.keys()].filter((sku_id) => sku_id.includes('-cool-'));
  for (const { process } of world.gateways) {
    let unfit: unknown[] = [];
    const what = (): string =>
      `${process.adminUrl} serves every shard; it does not serve ${JSON.stringify(unfit).slice(0, 400)}`;
    await waitUntil(what, async () => {
      const { body } = await world.client.call({
        method: 'GET',
        url: `${process.adminUrl}/v1/shards`,
        waitMs: CALL_MS,
      });
      const shards = body.shards as { state: string; breaker: string; pool: { waiting: number; busy: number } }[];
      unfit = shards.filter(
        ({ state, breaker, pool }) => state !== 'serving' || breaker !== 'closed' || pool.waiting > 0 || pool.busy > 1,
      );
      return unfit.length === 0;
    });
    for (const sku_id of cool) {
      await waitUntil(`${process.publicUrl} reads ${sku_id}`, async () => {
        const url = `${process.publicUrl}/v1/skus/${encodeURIComponent(sku_id)}`;
        return (await world.client.call({ method: 'GET', url, waitMs: CALL_MS })).status === 200;
      });
    }
  }
}

/**
 * Buys every scarce SKU until it is sold out, unit by unit: units that cannot be bought must not be left (I8).
 *
 * @param sellableMs for how long units that were added before the call may not be sold yet
 */
export async function sellOutSkus(scene: Scene, sellableMs: number): Promise<void> {
  await sleep(sellableMs);
  // Several buyers at once where the units lie in several rows.
  const scarce = scarceOf(scene.goods).flatMap((sku_id) =>
    scene.goods.split.includes(sku_id) ? [sku_id, sku_id, sku_id] : [sku_id],
  );
  await Promise.all(
    scarce.map((sku_id) =>
      waitUntil(`selling out ${sku_id}`, async () => {
        const number = scene.next();
        const { verdict } = await sendOrder(scene, `${scene.prefix}-last${number}`, [
          { sku_id, order_detail_id: `${scene.prefix}-last${number}`, quantity: 1 },
        ]);
        return verdict === 'refused';
      }),
    ),
  );
}

/**
 * Restocks the SKUs that have just been sold out, and sells them out once more: each gateway must drop its reading of
 * the sell-out in time (I8).
 */
export async function sellOutAgain(scene: Scene, sellableMs: number): Promise<void> {
  const scarce = scarceOf(scene.goods);
  // These orders name more units than there are and take none. They keep gateways refusing the SKUs early.
  const orderAll = (): Promise<unknown> =>
    Promise.all(
      scarce.map((sku_id) =>
        sendOrder(scene, `${scene.prefix}-more${scene.next()}`, [
          { sku_id, order_detail_id: `${scene.prefix}-more${scene.next()}`, quantity: RESTOCK + 1 },
        ]),
      ),
    );
  const orderFor = async (ms: number): Promise<void> => {
    for (const untilMs = performance.now() + ms; performance.now() < untilMs;)
      await Promise.all([orderAll(), sleep(ORDER_INTERVAL_MS)]);
  };
  if (sellableMs > 0) await orderFor(ORDERED_MS);
  await Promise.all(
    scarce.map((sku_id) => {
      const adjustment_id = `${scene.prefix}-again${scene.next()}`;
      return waitUntil(
        `restocking ${sku_id}`,
        async () => (await sendAdjustment(scene, sku_id, adjustment_id, RESTOCK)).verdict === 'done',
      );
    }),
  );
  await Promise.all([orderFor(sellableMs), sellOutSkus(scene, sellableMs)]);
}

/** Reads the final state once no cart is in progress any more, or when their time is over (I7). */
export async function quiescentState(world: ProofWorld, prefix: string, healedMs: number): Promise<FinalState> {
  const untilMs = Math.max(healedMs + RESOLVE_MS_MAX, performance.now() + SETTLE_MS_MAX);
  for (let last = ''; ;) {
    const state = await readFinalState(world, prefix);
    const text = JSON.stringify(state);
    // The shards are read in parallel while units move between them. A state that is read twice existed in between.
    if ((text === last && !isInProgress(state)) || performance.now() > untilMs) return state;
    last = text;
    await sleep(250);
  }
}

/** Sends some orders of split SKUs again before the final read: an id that is not found would be sold twice (I5). */
export async function sendSplitAgain(scene: Scene): Promise<void> {
  const split = new Set(scene.goods.split);
  const done = scene.history.filter(
    (entry) =>
      entry.kind === 'deduction' && entry.verdict === 'done' && entry.lines.some(({ sku_id }) => split.has(sku_id)),
  );
  const some = Array.from({ length: Math.min(SENT_AGAIN, done.length) }, () => scene.random.pick(done) as Write);
  await inParallel(some, (write) =>
    waitUntil('sending an order again', async () => isAnswered(await resend(scene, write))),
  );
}

/** Looks up every deduction of the split SKUs at random gateways, and reads their stock: stored ids are found (I5). */
export async function lookUpSplit(scene: Scene, { flows }: FinalState): Promise<void> {
  const split = new Set(scene.goods.split);
  const standing = flows.filter(({ sku_id, status }) => split.has(sku_id) && status !== 'void');
  await inParallel(standing, (flow) =>
    waitUntil(`finding ${flow.order_detail_id}`, async () => isAnswered(await lookUpOne(scene, flow))),
  );
  await inParallel(scene.goods.split, (sku_id) =>
    waitUntil(`reading ${sku_id}`, async () => isAnswered(await sendStockRead(scene, sku_id))),
  );
}

/** Whether an entry has a definite answer, right or wrong. */
function isAnswered({ verdict }: Entry): boolean {
  return verdict !== 'unknown' && verdict !== 'undone';
}

async function inParallel<T>(things: readonly T[], work: (thing: T) => Promise<void>): Promise<void> {
  const left = [...things];
  const worker = async (): Promise<void> => {
    for (let thing = left.shift(); thing !== undefined; thing = left.shift()) await work(thing);
  };
  await Promise.all(Array.from({ length: PARALLEL_MAX }, worker));
}

export function leftUnsold({ stock }: FinalState): Violation[] {
  return stock
    .filter(({ sku_id, leaved_amount }) => isScarce(sku_id) && leaved_amount !== 0)
    .map(({ sku_id, leaved_amount }) => ({
      invariant: 'I8',
      what: `${sku_id}: the last orders were refused, and ${leaved_amount} are left`,
    }));
}

/** @param what the condition, for the error message; a function is called when the time is over */
export async function waitUntil(what: string | (() => string), isSo: () => Promise<boolean>): Promise<void> {
  // The last call may take another 5 s. Callers with a stricter limit measure the time themselves.
  const untilMs = performance.now() + RESOLVE_MS_MAX + CALL_MS;
  while (!(await isSo().catch(() => false))) {
    if (performance.now() > untilMs)
      throw new Error(
        `${typeof what === 'string' ? what : what()}: not within ${(RESOLVE_MS_MAX + CALL_MS) / 1_000} s`,
      );
    await sleep(50);
  }
}
