import { setTimeout as sleep } from 'node:timers/promises';
import { check } from './checker.ts';
import type { Violation } from './checker.ts';
import { FAULTS } from './faults.ts';
import type { Fault } from './faults.ts';
import { readFinalState } from './finalState.ts';
import { openGoods } from './goods.ts';
import type { Goods } from './goods.ts';
import { effectsOf, isWrite } from './effects.ts';
import { NOT_SENT } from './history.ts';
import type { FinalState, Write } from './history.ts';
import { lookUp, OPERATIONS, resend, sendOpening, sendOrder } from './operations.ts';
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
  /** What was sent, reads included. */
  readonly operations: number;
  /** What found no gateway that listened. */
  readonly notSent: number;
  readonly unknowns: number;
  /** How long after the world was whole again each write that was unknown then became definite. */
  readonly resolveMs: readonly number[];
  /** `unknown` when the final reads or an unknown did not come to an end: that is a failure too. */
  readonly verdict: 'content' | 'broken' | 'unknown';
  readonly violations: readonly Violation[];
}

/** A mix shifts a few times. */
const MIX_MS_MIN = 8_000;
/** I9: an unknown is definite this long after its shard is back. */
const RESOLVE_MS_MAX = 30_000;
const CALL_MS = 6_000;

/** One night: goods are opened, clients trade, things break, everything is mended, and the books are compared. */
export async function runRound(world: World, options: RoundOptions): Promise<RoundResult> {
  const random = seeded(options.seed);
  const prefix = `r${options.seed}-${options.kind}-${Date.now().toString(36)}`;
  const goods = openGoods(prefix, random);
  const scene = createScene(world, prefix, goods, seeded(random.whole(0, 2 ** 31)));
  const summarise = (): Pick<RoundResult, 'kind' | 'seed' | 'operations' | 'notSent' | 'unknowns'> => ({
    kind: options.kind,
    seed: options.seed,
    operations: scene.history.filter(({ code }) => code !== NOT_SENT).length,
    notSent: scene.history.filter(({ code }) => code === NOT_SENT).length,
    unknowns: scene.history.filter(({ verdict }) => verdict === 'unknown').length,
  });
  let summary = summarise();
  let healedMs = performance.now();
  try {
    await openAll(scene);
    const until = performance.now() + Math.max(options.trafficMs, options.kind === 'mix' ? MIX_MS_MIN : 0);
    // Both come to their end before anything is said: a fault that fails must not leave the other running.
    const trading = trade(scene, until, options.clients);
    const breaking = breakThings(world, options.kind, seeded(random.whole(0, 2 ** 31)), until).finally(() => (healedMs = performance.now()));
    const ends = await Promise.allSettled([trading, breaking]);
    summary = summarise();
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    const resolveMs = await resolveUnknowns(scene, healedMs);
    await everyGatewayServes(world, goods);
    await sellOut(scene);
    const final = await readFinalState(world, prefix);
    const violations = [...check(scene.history, final), ...leftUnsold(final)];
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
    await eventuallyTrue(`opening ${sku_id}`, async () => (await sendOpening(scene, sku_id, leaved_amount)).verdict === 'done');
  }
}

async function trade(scene: Scene, untilMs: number, clients: number): Promise<void> {
  const wheel = OPERATIONS.flatMap((operation) => Array.from({ length: operation.weight }, () => operation));
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < untilMs) {
        const last = await scene.random.pick(wheel).run(scene);
        if (last?.verdict === 'unknown' && isWrite(last) && scene.random.chance(0.5)) await resend(scene, last);
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
  // Now and then for longer than any request has, so that callers meet a breaker and not only a wait.
  await sleep(random.chance(0.15) ? random.whole(5_500, 8_000) : random.whole(400, 2_500));
  // The last to break is the first to be mended: a frozen server cannot be asked to take writes again.
  for (const mend of mends.reverse()) await mend().catch(note);
  if (failures.length > 0) throw failures[0];
}

function chosen(fitting: readonly Fault[], kind: string, random: Random): Fault[] {
  if (kind !== 'mix') return fitting.filter((fault) => fault.kind === kind);
  if (random.chance(0.25)) return [];
  const several = new Set(Array.from({ length: random.whole(2, 4) }, () => random.pick(fitting)));
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

/** Asks for the writes that are still unknown, or sends them again, as a shop would, until they are definite. */
async function resolveUnknowns(scene: Scene, healedMs: number): Promise<number[]> {
  const definite = new Set(scene.history.filter(isWrite).filter(isDefinite).flatMap(contentsOf));
  const unknown = scene.history.filter(isWrite).filter((write) => write.verdict === 'unknown' && !contentsOf(write).every((content) => definite.has(content)));
  return Promise.all(
    unknown.map(async (write) => {
      await eventuallyTrue(`resolving ${JSON.stringify(write).slice(0, 200)}`, async () => {
        const line = write.kind === 'deduction' && scene.random.chance(0.5) ? write.lines[0] : undefined;
        const told = line === undefined ? await resend(scene, write) : await lookUp(scene, line);
        return told !== null && isDefinite(told);
      });
      return performance.now() - healedMs;
    }),
  );
}

function contentsOf(write: Write): string[] {
  return effectsOf(write).map(({ key, content }) => `${key}\0${content}`);
}

function isDefinite({ verdict }: { readonly verdict: string }): boolean {
  return verdict === 'done' || verdict === 'refused';
}

/** Buys what is left of every scarce SKU, unit by unit: what cannot be bought must not be there (I8). */
async function sellOut(scene: Scene): Promise<void> {
  const scarce = [...scene.goods.opening.keys()].filter(isScarce);
  await Promise.all(
    scarce.map(async (sku_id) => {
      await eventuallyTrue(`selling out ${sku_id}`, async () => {
        const number = scene.next();
        const { verdict } = await sendOrder(scene, `${scene.prefix}-last${number}`, [{ sku_id, order_detail_id: `${scene.prefix}-last${number}`, quantity: 1 }]);
        return verdict === 'refused';
      });
    }),
  );
}

function leftUnsold({ stock }: FinalState): Violation[] {
  return stock
    .filter(({ sku_id, leaved_amount }) => isScarce(sku_id) && leaved_amount !== 0)
    .map(({ sku_id, leaved_amount }) => ({ invariant: 'I8', what: `${sku_id}: refused to the last buyers, and ${leaved_amount} are left` }));
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
