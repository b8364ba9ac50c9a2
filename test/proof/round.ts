import { setTimeout as sleep } from 'node:timers/promises';
import { check } from './checker.ts';
import type { Violation } from './checker.ts';
import { FAULTS } from './faults.ts';
import type { Fault } from './faults.ts';
import { readFinalState } from './finalState.ts';
import { openGoods } from './goods.ts';
import type { Goods } from './goods.ts';
import type { Entry } from './history.ts';
import { lookUp, OPERATIONS, sendAdjustment, sendOrder } from './operations.ts';
import type { Scene } from './operations.ts';
import { seeded } from './random.ts';
import type { Random } from './random.ts';
import type { World } from './world.ts';

export interface RoundOptions {
  /** A kind of `FAULTS`, or `mix` for several at once, shifting. */
  readonly kind: string;
  readonly seed: number;
  /** How long traffic and faults last. */
  readonly trafficMs: number;
  readonly clients: number;
}

export interface RoundResult {
  readonly kind: string;
  readonly seed: number;
  readonly operations: number;
  readonly unknowns: number;
  /** How long after the world was whole again each unknown became definite. */
  readonly resolveMs: readonly number[];
  /** `unknown` when the final reads or an unknown did not come to an end: that is a failure too. */
  readonly verdict: 'content' | 'broken' | 'unknown';
  readonly violations: readonly Violation[];
}

/** I9: an unknown is definite this long after its shard is back. */
const RESOLVE_MS_MAX = 30_000;
const CALL_MS = 6_000;

/** One night: goods are opened, clients trade, things break, everything is mended, and the books are compared. */
export async function runRound(world: World, options: RoundOptions): Promise<RoundResult> {
  const random = seeded(options.seed);
  const prefix = `r${options.seed}-${options.kind}-${Date.now().toString(36)}`;
  const goods = openGoods(prefix, random);
  const scene = createScene(world, prefix, goods, seeded(random.whole(0, 2 ** 31)));
  const summarise = (): Pick<RoundResult, 'kind' | 'seed' | 'operations' | 'unknowns'> => ({
    kind: options.kind,
    seed: options.seed,
    operations: scene.history.length,
    unknowns: scene.history.filter(({ verdict }) => verdict === 'unknown').length,
  });
  let summary = summarise();
  try {
    await openAll(scene);
    const until = performance.now() + options.trafficMs;
    // Both come to their end before anything is said: a fault that fails must not leave the other running.
    const ends = await Promise.allSettled([
      trade(scene, until, options.clients),
      breakThings(world, options.kind, seeded(random.whole(0, 2 ** 31)), until),
    ]);
    summary = summarise();
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    await everyGatewayServes(world, goods);
    const resolveMs = await resolveUnknowns(scene);
    await sellOut(scene);
    const final = await readFinalState(world, prefix, goods.opening);
    const violations = [...check(scene.history, final), ...leftUnsold(goods, final.left)];
    return { ...summary, resolveMs, verdict: violations.length === 0 ? 'content' : 'broken', violations };
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    return { ...summary, resolveMs: [], verdict: 'unknown', violations: [{ invariant: 'I9', what }] };
  }
}

function createScene(world: World, prefix: string, goods: Goods, random: Random): Scene {
  let number = 0;
  return {
    prefix,
    random,
    goods,
    history: [],
    next: () => (number += 1),
    send(listener, method, path, body) {
      const { publicUrl, adminUrl } = random.pick(world.gateways).process;
      const url = (listener === 'public' ? publicUrl : adminUrl) + path;
      return world.client.call({ method, url, waitMs: CALL_MS, ...(body === undefined ? {} : { body }) });
    },
  };
}

/** Opening is traffic of its own kind: it is repeated until it stands, and comes before anything breaks. */
async function openAll(scene: Scene): Promise<void> {
  for (const [sku_id, leaved_amount] of scene.goods.opening) {
    const path = `/v1/skus/${encodeURIComponent(sku_id)}`;
    await eventuallyTrue(`opening ${sku_id}`, async () => {
      const { status } = await scene.send('admin', 'PUT', path, { leaved_amount });
      return status === 200 || status === 201;
    });
  }
}

async function trade(scene: Scene, untilMs: number, clients: number): Promise<void> {
  const wheel = OPERATIONS.flatMap((operation) => Array.from({ length: operation.weight }, () => operation));
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < untilMs) {
        await scene.random.pick(wheel).run(scene);
        const last = scene.history.at(-1);
        if (last?.verdict === 'unknown' && last.kind === 'deduction' && scene.random.chance(0.5)) {
          await sendOrder(scene, last.order_id, last.lines);
        }
        await sleep(scene.random.whole(0, 10));
      }
    }),
  );
}

/** One kind: on for a while, off for a while. A mix: a random set of kinds that shifts, none at all a quarter of the time. */
async function breakThings(world: World, kind: string, random: Random, untilMs: number): Promise<void> {
  const fitting = FAULTS.filter((fault) => fault.fits?.(world.stack.cluster.product) ?? true);
  while (performance.now() < untilMs) {
    await sleep(random.whole(200, 600));
    await breakOnce(world, chosen(fitting, kind, random), random);
  }
}

/** Whatever goes wrong on the way, everything that was broken is mended. */
async function breakOnce(world: World, faults: readonly Fault[], random: Random): Promise<void> {
  const mends: (() => Promise<void>)[] = [];
  const failures: unknown[] = [];
  const note = (error: unknown): void => void failures.push(error);
  for (const fault of faults) {
    await fault.begin(world, seeded(random.whole(0, 2 ** 31))).then((mend) => mends.push(mend), note);
  }
  await sleep(random.whole(400, 2_500));
  // The last to break is the first to be mended: a frozen server cannot be asked to take writes again.
  for (const mend of mends.reverse()) await mend().catch(note);
  if (failures.length > 0) throw failures[0];
}

function chosen(fitting: readonly Fault[], kind: string, random: Random): Fault[] {
  if (kind !== 'mix') return fitting.filter((fault) => fault.kind === kind);
  if (random.chance(0.25)) return [];
  const several = new Set(Array.from({ length: random.whole(1, 3) }, () => random.pick(fitting)));
  // What shuts others out comes last, so that whoever has to ask a server to begin has asked.
  return [...several].sort((a, b) => lateness(a) - lateness(b));
}

function lateness({ kind }: Fault): number {
  if (kind.startsWith('mysqld-')) return 2;
  return kind === 'connection-limit' ? 1 : 0;
}

/** Each gateway by itself serves each shard again, with nothing left over from what broke (I9, I10). */
async function everyGatewayServes(world: World, goods: Goods): Promise<void> {
  const cool = [...goods.opening.keys()].filter((sku_id) => sku_id.includes('-cool-'));
  for (const { process } of world.gateways) {
    await eventuallyTrue(`${process.adminUrl} serves every shard`, async () => {
      const { body } = await world.client.call({ method: 'GET', url: `${process.adminUrl}/v1/shards`, waitMs: CALL_MS });
      const shards = body.shards as { state: string; breaker: string; pool: { waiting: number; busy: number } }[];
      return shards.every(({ state, breaker, pool }) => state === 'serving' && breaker === 'closed' && pool.waiting === 0 && pool.busy <= 1);
    });
    for (const sku_id of cool) {
      await eventuallyTrue(`${process.publicUrl} reads ${sku_id}`, async () => {
        const url = `${process.publicUrl}/v1/skus/${encodeURIComponent(sku_id)}`;
        return (await world.client.call({ method: 'GET', url, waitMs: CALL_MS })).status === 200;
      });
    }
  }
}

/** Sends what is unknown again, as a shop would, until it is definite. */
async function resolveUnknowns(scene: Scene): Promise<number[]> {
  const healedMs = performance.now();
  const unknown = scene.history.filter(({ verdict }) => verdict === 'unknown');
  const resolved: number[] = [];
  const resolve = async (entry: Entry): Promise<void> => {
    await eventuallyTrue(`resolving ${JSON.stringify(entry).slice(0, 200)}`, async () => {
      if (entry.kind === 'deduction') {
        const [first] = entry.lines;
        return isDefinite(scene.random.chance(0.5) && first !== undefined ? await lookUp(scene, first) : await sendOrder(scene, entry.order_id, entry.lines));
      }
      if (entry.kind === 'adjustment') return isDefinite(await sendAdjustment(scene, entry.sku_id, entry.adjustment_id, entry.delta));
      return true;
    });
    resolved.push(performance.now() - healedMs);
  };
  await Promise.all(unknown.map(resolve));
  return resolved;
}

function isDefinite(verdict: string): boolean {
  return verdict === 'done' || verdict === 'refused';
}

/** Buys what is left of every scarce SKU, unit by unit: what cannot be bought must not be there (I8). */
async function sellOut(scene: Scene): Promise<void> {
  const scarce = [...scene.goods.opening.keys()].filter(isScarce);
  await Promise.all(
    scarce.map(async (sku_id) => {
      await eventuallyTrue(`selling out ${sku_id}`, async () => {
        const number = scene.next();
        const verdict = await sendOrder(scene, `${scene.prefix}-last${number}`, [{ sku_id, order_detail_id: `${scene.prefix}-last${number}`, quantity: 1 }]);
        return verdict === 'refused';
      });
    }),
  );
}

function leftUnsold({ opening }: Goods, left: ReadonlyMap<string, number>): Violation[] {
  return [...opening.keys()]
    .filter((sku_id) => isScarce(sku_id) && left.get(sku_id) !== 0)
    .map((sku_id) => ({ invariant: 'I8', what: `${sku_id}: refused to the last buyers, and ${left.get(sku_id)} are left` }));
}

function isScarce(sku_id: string): boolean {
  return sku_id.includes('-scarce-');
}

async function eventuallyTrue(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + RESOLVE_MS_MAX;
  while (!(await isSo().catch(() => false))) {
    if (performance.now() > untilMs) throw new Error(`${what}: not within ${RESOLVE_MS_MAX / 1_000} s`);
    await sleep(50);
  }
}
