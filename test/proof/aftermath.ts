import { setTimeout as sleep } from 'node:timers/promises';
import type { Violation } from './books.ts';
import { lookUp, lookUpOne, readStock, resend, sendAdjustment, sendOrder } from './calls.ts';
import type { Scene } from './calls.ts';
import { isDefinite, toldOf } from './definite.ts';
import { isWrite, overAtMs } from './effects.ts';
import { isUnsettled, readFinalState } from './finalState.ts';
import { isScarce, scarceOf } from './goods.ts';
import type { Goods } from './goods.ts';
import type { Entry, FinalState, Write } from './history.ts';
import { OPERATIONS } from './operations.ts';
import type { TrafficOperation } from './operations.ts';
import type { World } from './world.ts';

/** I7, I9: an unknown is definite, and a cart decided, this long after its shard is back. */
const RESOLVE_MS_MAX = 30_000;
/** The same for what was sent when all was whole: nobody waits for a shard then. */
const SETTLE_MS_MAX = 5_000;
export const CALL_MS = 6_000;
const SENT_AGAIN = 60;
const LANES = 8;
/** The last restock of each scarce SKU. Before it the SKU is asked for so often, and for so long. */
const RESTOCK = 1;
const ASK_MS = 100;
const KNOWN_MS = 600;

export interface Resolved {
  /** How long after the world was whole again, and its own attempt over, each write that was unknown then became definite. */
  readonly resolveMs: readonly number[];
  readonly violations: readonly Violation[];
}

/** Asks for the writes that are still unknown, or sends them again, as a shop would, until they are definite. */
export async function resolveUnknowns(scene: Scene, healedMs: number): Promise<Resolved> {
  const history = [...scene.history];
  const unknown = history
    .filter(isWrite)
    .filter((write) => write.verdict === 'unknown' && !toldOf(write, history).some((told) => isDefinite(write, told)));
  const resolveMs = await Promise.all(
    unknown.map(async (write) => {
      await eventuallyTrue(`resolving ${JSON.stringify(write).slice(0, 200)}`, () => askAfter(scene, write));
      return Math.max(0, performance.now() - Math.max(healedMs, overAtMs(write)));
    }),
  );
  const late = resolveMs.filter((ms) => ms > RESOLVE_MS_MAX);
  return {
    resolveMs,
    violations: late.map((ms) => ({ invariant: 'I9', what: `an unknown became definite after ${Math.round(ms)} ms` })),
  };
}

/** Whether somebody who asks now hears what became of a write. */
async function askAfter(scene: Scene, write: Write): Promise<boolean> {
  if (write.kind === 'deduction' && scene.random.chance(0.5))
    return isDefinite(write, { kind: 'looked up', answers: await lookUp(scene, write.lines) });
  return isDefinite(write, { kind: 'again', answer: await resend(scene, write) });
}

/** Waits until no attempt that was not answered can take effect any more. */
export async function lastAttemptOver(scene: Scene): Promise<void> {
  // A layout that changes late is seen to settle; it changes nothing that is sold.
  const overMs = Math.max(
    0,
    ...scene.history
      .filter(isWrite)
      .filter(({ kind }) => kind !== 'resize')
      .map(overAtMs),
  );
  await sleep(Math.max(0, overMs - performance.now()));
}

/** Does everything there is to do, until each has come to its end: a product that does nothing breaks no other rule. */
export async function everythingWorks(
  scene: Scene,
  lasts: ReadonlyMap<string, readonly Entry[]>,
  isBroken: boolean,
): Promise<void> {
  const missing = OPERATIONS.filter(
    (operation) => isBroken || !(lasts.get(operation.name) ?? []).some((last) => isEnd(operation, last, false)),
  );
  for (const operation of missing) {
    await eventuallyTrue(`'${operation.name}' comes to an end`, async () => {
      const last = await operation.run(scene);
      return last !== null && isEnd(operation, last, isBroken);
    });
  }
}

/** Whether an operation ended as it should: where much was broken, any definite answer will do. */
export function isEnd({ ends }: Pick<TrafficOperation, 'ends'>, { verdict }: Entry, isBroken: boolean): boolean {
  return verdict === (ends ?? 'done') || (isBroken && (verdict === 'done' || verdict === 'refused'));
}

/** Where nothing is broken most writes get a verdict. Not all must: on a machine that stands still for seconds a breaker opens. */
export function leftOpen(history: readonly Entry[]): Violation[] {
  const writes = history.filter(isWrite);
  const open = writes.filter(({ verdict }) => verdict === 'undone' || verdict === 'unknown');
  if (open.length * 2 <= writes.length) return [];
  return [
    {
      invariant: 'contract',
      what: `${open.length} of ${writes.length} writes got no verdict, and nothing was broken: ${open[0]?.code ?? 'no answer'}`,
    },
  ];
}

/** Each gateway by itself serves each shard again, with nothing left over from what broke (I9, I10). */
export async function everyGatewayServes(world: World, goods: Goods): Promise<void> {
  const cool = [...goods.opening.keys()].filter((sku_id) => sku_id.includes('-cool-'));
  for (const { process } of world.gateways) {
    let unfit: unknown[] = [];
    const what = (): string =>
      `${process.adminUrl} serves every shard; unlike it: ${JSON.stringify(unfit).slice(0, 400)}`;
    await eventuallyTrue(what, async () => {
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
      await eventuallyTrue(`${process.publicUrl} reads ${sku_id}`, async () => {
        const url = `${process.publicUrl}/v1/skus/${encodeURIComponent(sku_id)}`;
        return (await world.client.call({ method: 'GET', url, waitMs: CALL_MS })).status === 200;
      });
    }
  }
}

/**
 * Buys what is left of every scarce SKU, unit by unit: what cannot be bought must not be there (I8).
 *
 * @param sellableMs how long units that came in before the call may be kept from being sold
 */
export async function sellOut(scene: Scene, sellableMs: number): Promise<void> {
  await sleep(sellableMs);
  // Several buyers at once where the units lie in several rows.
  const scarce = scarceOf(scene.goods).flatMap((sku_id) =>
    scene.goods.split.includes(sku_id) ? [sku_id, sku_id, sku_id] : [sku_id],
  );
  await Promise.all(
    scarce.map((sku_id) =>
      eventuallyTrue(`selling out ${sku_id}`, async () => {
        const number = scene.next();
        const { verdict } = await sendOrder(scene, `${scene.prefix}-last${number}`, [
          { sku_id, order_detail_id: `${scene.prefix}-last${number}`, quantity: 1 },
        ]);
        return verdict === 'refused';
      }),
    ),
  );
}

/** Restocks what has just been sold out, and sells it out once more: each gateway must forget in time that they were sold out (I8). */
export async function sellOutAgain(scene: Scene, sellableMs: number): Promise<void> {
  const scarce = scarceOf(scene.goods);
  // These orders want more than there is and take nothing; they keep the SKUs among those that gateways refuse early.
  const askAll = (): Promise<unknown> =>
    Promise.all(
      scarce.map((sku_id) =>
        sendOrder(scene, `${scene.prefix}-more${scene.next()}`, [
          { sku_id, order_detail_id: `${scene.prefix}-more${scene.next()}`, quantity: RESTOCK + 1 },
        ]),
      ),
    );
  const askFor = async (ms: number): Promise<void> => {
    for (const untilMs = performance.now() + ms; performance.now() < untilMs;)
      await Promise.all([askAll(), sleep(ASK_MS)]);
  };
  if (sellableMs > 0) await askFor(KNOWN_MS);
  await Promise.all(
    scarce.map((sku_id) => {
      const adjustment_id = `${scene.prefix}-again${scene.next()}`;
      return eventuallyTrue(
        `restocking ${sku_id}`,
        async () => (await sendAdjustment(scene, sku_id, adjustment_id, RESTOCK)).verdict === 'done',
      );
    }),
  );
  await Promise.all([askFor(sellableMs), sellOut(scene, sellableMs)]);
}

/** The final state when no cart is under way any more, or as it is when they have had their time (I7). */
export async function settledState(world: World, prefix: string, healedMs: number): Promise<FinalState> {
  const untilMs = Math.max(healedMs + RESOLVE_MS_MAX, performance.now() + SETTLE_MS_MAX);
  for (let last = ''; ;) {
    const state = await readFinalState(world, prefix);
    const text = JSON.stringify(state);
    // The shards are read one beside the other, and units go from one to another: what is seen twice stood so in between.
    if ((text === last && !isUnsettled(state)) || performance.now() > untilMs) return state;
    last = text;
    await sleep(250);
  }
}

/** Sends some orders of split SKUs once more, before the end is read: an id that is not found would be sold twice (I5). */
export async function sendSplitAgain(scene: Scene): Promise<void> {
  const split = new Set(scene.goods.split);
  const done = scene.history.filter(
    (entry) =>
      entry.kind === 'deduction' && entry.verdict === 'done' && entry.lines.some(({ sku_id }) => split.has(sku_id)),
  );
  const some = Array.from({ length: Math.min(SENT_AGAIN, done.length) }, () => scene.random.pick(done) as Write);
  await inLanes(some, (write) =>
    eventuallyTrue('an order that is sent again', async () => isVerdict(await resend(scene, write))),
  );
}

/** Asks some gateway for every deduction of what is split, and for what is left: whatever stands is found (I5). */
export async function findSplit(scene: Scene, { flows }: FinalState): Promise<void> {
  const split = new Set(scene.goods.split);
  const standing = flows.filter(({ sku_id, status }) => split.has(sku_id) && status !== 'void');
  await inLanes(standing, (flow) =>
    eventuallyTrue(`finding ${flow.order_detail_id}`, async () => isVerdict(await lookUpOne(scene, flow))),
  );
  await inLanes(scene.goods.split, (sku_id) =>
    eventuallyTrue(`reading ${sku_id}`, async () => isVerdict(await readStock(scene, sku_id))),
  );
}

/** Whether an entry says something for good, be it wrong. */
function isVerdict({ verdict }: Entry): boolean {
  return verdict !== 'unknown' && verdict !== 'undone';
}

async function inLanes<T>(things: readonly T[], work: (thing: T) => Promise<void>): Promise<void> {
  const left = [...things];
  const lane = async (): Promise<void> => {
    for (let thing = left.shift(); thing !== undefined; thing = left.shift()) await work(thing);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

export function leftUnsold({ stock }: FinalState): Violation[] {
  return stock
    .filter(({ sku_id, leaved_amount }) => isScarce(sku_id) && leaved_amount !== 0)
    .map(({ sku_id, leaved_amount }) => ({
      invariant: 'I8',
      what: `${sku_id}: refused to the last buyers, and ${leaved_amount} are left`,
    }));
}

/** @param what is said when it does not come true; asked for then, where it is a function */
export async function eventuallyTrue(what: string | (() => string), isSo: () => Promise<boolean>): Promise<void> {
  // The last question may be one that is over only after 5 s; what comes too late is told by who counts the time.
  const untilMs = performance.now() + RESOLVE_MS_MAX + CALL_MS;
  while (!(await isSo().catch(() => false))) {
    if (performance.now() > untilMs)
      throw new Error(
        `${typeof what === 'string' ? what : what()}: not within ${(RESOLVE_MS_MAX + CALL_MS) / 1_000} s`,
      );
    await sleep(50);
  }
}
