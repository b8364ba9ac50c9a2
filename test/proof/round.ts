import { setTimeout as sleep } from 'node:timers/promises';
import {
  CALL_MS,
  waitUntil,
  everyGatewayServes,
  everyOperationEnds,
  lookUpSplit,
  lastAttemptOver,
  undecidedWrites,
  leftUnsold,
  resolveInDoubt,
  sellOutSkus,
  sellOutAgain,
  sendSplitAgain,
  quiescentState,
} from './finalChecks.ts';
import { nothingDiffers } from './continuousCheck.ts';
import type { Violation } from './rules/books.ts';
import { SELLABLE_MS_MAX } from './rules/bounds.ts';
import { resend, sendOpening, sendResize } from './calls.ts';
import type { Scene } from './calls.ts';
import { check } from './rules/checker.ts';
import { isCart, isWrite } from './rules/effects.ts';
import { canBegin, BENCH_FAULTS } from './faults.ts';
import type { BenchFault } from './benchFault.ts';
import { createRoundSkus, ROW_COUNTS } from './skus.ts';
import type { RoundSkus } from './skus.ts';
import { NOT_SENT } from './history.ts';
import type { Entry, FinalState } from './history.ts';
import { BENCH_OPERATIONS } from './operations.ts';
import { seeded } from './random.ts';
import type { Random } from './random.ts';
import type { ProofWorld } from './world.ts';
import { errorText } from '../../src/core/text/errorText.ts';

export interface RoundOptions {
  /** A kind of `BENCH_FAULTS`, or `mix` for several at once that change over time. */
  readonly kind: string;
  readonly seed: number;
  /** How long traffic and faults last. */
  readonly trafficMs: number;
  readonly clients: number;
  /** The share of the traffic that orders of several SKUs have, from 0 to 1. */
  readonly cartShare: number;
}

export interface RoundResult {
  readonly kind: string;
  readonly seed: number;
  /** The number of requests that were sent, reads included. */
  readonly operations: number;
  /** How many of them were orders over several shards. */
  readonly carts: number;
  /** The number of requests whose connection was refused. */
  readonly notSent: number;
  readonly unknowns: number;
  /** For each write that was in doubt at the end of the faults: how long after that it was resolved. */
  readonly resolveMs: readonly number[];
  /** `unknown` when a final read or the resolution of an in-doubt write did not finish, which is a failure too. */
  readonly verdict: 'content' | 'broken' | 'unknown';
  readonly violations: readonly Violation[];
  /** The requests with their answers, and the final state; null when that was not read. */
  readonly evidence: { readonly history: readonly Entry[]; readonly final: FinalState | null };
}

/** Long enough for a mix to change a few times. */
const MIX_MS_MIN = 8_000;

/**
 * Runs one round: opens SKUs, runs traffic while faults are injected, repairs everything, and compares the answers with
 * the stored state.
 */
export async function runRound(world: ProofWorld, options: RoundOptions): Promise<RoundResult> {
  const random = seeded(options.seed);
  const prefix = `r${options.seed}-${options.kind}-${Date.now().toString(36)}`;
  const goods = createRoundSkus(prefix, random, world.serverOf);
  const scene = createScene(world, prefix, goods, seeded(random.whole(0, 2 ** 31)));
  const summarise = (): Pick<RoundResult, 'kind' | 'seed' | 'operations' | 'carts' | 'notSent' | 'unknowns'> => ({
    kind: options.kind,
    seed: options.seed,
    operations: scene.history.filter(({ code }) => code !== NOT_SENT).length,
    carts: scene.history.filter(isOverShards).length,
    notSent: scene.history.filter(({ code }) => code === NOT_SENT).length,
    unknowns: scene.history.filter(({ verdict }) => verdict === 'unknown').length,
  });
  let summary = summarise();
  let healedMs = performance.now();
  let final: FinalState | null = null;
  try {
    await openAll(scene);
    const until = performance.now() + Math.max(options.trafficMs, options.kind === 'mix' ? MIX_MS_MIN : 0);
    // Both must end before a failure of one is thrown: otherwise the other would go on running.
    const lasts = new Map(BENCH_OPERATIONS.map(({ name }): [string, Entry[]] => [name, []]));
    const traffic = runTraffic(scene, until, options, lasts);
    const faults = injectFaults(world, scene, options.kind, seeded(random.whole(0, 2 ** 31)), until).finally(
      () => (healedMs = performance.now()),
    );
    const ends = await Promise.allSettled([traffic, faults]);
    summary = summarise();
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
    const isBroken = options.kind !== 'none';
    const open = isBroken ? [] : undecidedWrites(scene.history);
    const { resolveMs, violations: late } = await resolveInDoubt(scene, healedMs);
    await everyGatewayServes(world, goods);
    await everyOperationEnds(scene, lasts, isBroken);
    await lastAttemptOver(scene);
    const sellableMs = world.hasTiers ? SELLABLE_MS_MAX : 0;
    await sellOutSkus(scene, sellableMs);
    await sellOutAgain(scene, sellableMs);
    await sendSplitAgain(scene);
    final = await quiescentState(world, prefix, healedMs);
    await lookUpSplit(scene, final);
    const violations = [
      ...open,
      ...late,
      ...check(scene.history, final, isBroken ? healedMs : 0, world.hasTiers),
      ...leftUnsold(final),
      ...(world.isShared ? [] : await nothingDiffers(world)),
    ];
    return {
      ...summary,
      resolveMs,
      verdict: violations.length === 0 ? 'content' : 'broken',
      violations,
      evidence: { history: scene.history, final },
    };
  } catch (error) {
    const what = errorText(error);
    return {
      ...summary,
      resolveMs: [],
      verdict: 'unknown',
      violations: [{ invariant: 'I9', what }],
      evidence: { history: scene.history, final },
    };
  }
}

function isOverShards(entry: Entry): boolean {
  return entry.kind === 'deduction' && entry.code !== NOT_SENT && isCart(entry.lines, NONE);
}

const NONE: ReadonlySet<string> = new Set();

function createScene(world: ProofWorld, prefix: string, goods: RoundSkus, random: Random): Scene {
  let number = 0;
  return {
    prefix,
    random,
    goods,
    history: [],
    next: () => (number += 1),
    send(listener, method, path, body, { through, waitMs = CALL_MS } = {}) {
      const { publicUrl, adminUrl } = (through ?? random.pick(world.gateways)).process;
      const url = (listener === 'public' ? publicUrl : adminUrl) + path;
      return world.client.call({ method, url, waitMs, ...(body === undefined ? {} : { body }) });
    },
  };
}

/** Opens and splits the SKUs before any fault. Each request is repeated until it is accepted. */
async function openAll(scene: Scene): Promise<void> {
  for (const [sku_id, leaved_amount] of scene.goods.opening) {
    await waitUntil(
      `opening ${sku_id}`,
      async () => (await sendOpening(scene, sku_id, leaved_amount)).verdict === 'done',
    );
  }
  await Promise.all(
    scene.goods.split.map((sku_id) => {
      const sub_rows = scene.random.pick(ROW_COUNTS);
      return waitUntil(
        `splitting ${sku_id}`,
        async () => (await sendResize(scene, sku_id, sub_rows)).verdict === 'done',
      );
    }),
  );
}

/** @param lasts receives, by operation, the last entry of each run */
async function runTraffic(
  scene: Scene,
  untilMs: number,
  { clients, cartShare }: RoundOptions,
  lasts: Map<string, Entry[]>,
): Promise<void> {
  const byWeight = BENCH_OPERATIONS.flatMap((operation) => Array.from({ length: operation.weight }, () => operation));
  const carts = byWeight.filter(({ isCart }) => isCart === true);
  const others = byWeight.filter(({ isCart }) => isCart !== true);
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < untilMs) {
        const operation = scene.random.pick(scene.random.chance(cartShare) ? carts : others);
        const last = await operation.run(scene);
        if (last !== null) lasts.get(operation.name)?.push(last);
        if (last?.verdict === 'unknown' && isWrite(last) && scene.random.chance(0.5)) await resend(scene, last);
        await sleep(scene.random.whole(0, 10));
      }
    }),
  );
}

/**
 * One kind is on for a while and off for a while. A mix is a random set of kinds that changes; it is empty 25 % of the
 * time.
 */
async function injectFaults(
  world: ProofWorld,
  scene: Scene,
  kind: string,
  random: Random,
  untilMs: number,
): Promise<void> {
  const fitting = BENCH_FAULTS.filter((fault) => canBegin(fault, world));
  while (performance.now() < untilMs) {
    await sleep(random.whole(200, 600));
    await injectOnce(world, scene, chosen(fitting, kind, random), random);
  }
}

/** Injects faults together and repairs each of them, also when an injection or another repair fails. */
async function injectOnce(
  world: ProofWorld,
  scene: Scene,
  faults: readonly BenchFault[],
  random: Random,
): Promise<void> {
  const repairs: { readonly kind: string; readonly repair: () => Promise<void> }[] = [];
  const failures: unknown[] = [];
  const collect =
    (kind: string) =>
    (error: unknown): void =>
      void failures.push(
        new Error(`${kind}: ${error instanceof Error ? error.message : String(error)}`, { cause: error }),
      );
  for (const fault of faults) {
    const { kind } = fault;
    await fault
      .begin(world, seeded(random.whole(0, 2 ** 31)), scene)
      .then((repair) => repairs.push({ kind, repair }), collect(kind));
  }
  // Sometimes for longer than the deadline of any request, so that callers meet an open breaker and not only a wait.
  await sleep(random.chance(0.15) ? random.whole(5_500, 8_000) : random.whole(400, 2_500));
  // The last fault is repaired first: a frozen server would not take the statement that makes it writable again.
  for (const { kind, repair } of repairs.reverse()) await repair().catch(collect(kind));
  if (failures.length > 0) throw failures[0];
}

function chosen(fitting: readonly BenchFault[], kind: string, random: Random): BenchFault[] {
  if (kind !== 'mix') return fitting.filter((fault) => fault.kind === kind);
  if (random.chance(0.25)) return [];
  const several = new Set(Array.from({ length: random.whole(2, 4) }, () => random.pick(fitting)));
  return inOrderOfBegin([...several]);
}

/** Faults that make a server unreachable come last, so that faults that need a command on it can still begin. */
export function inOrderOfBegin(faults: readonly BenchFault[]): BenchFault[] {
  return [...faults].sort((a, b) => lateness(a) - lateness(b));
}

function lateness({ kind }: BenchFault): number {
  if (/^(mysqld|redis|replica)-(kill|freeze)$/.test(kind)) return 2;
  return kind === 'connection-limit' ? 1 : 0;
}
