import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Arm, Pressure } from './arms.ts';
import { cpuSeconds, cpuSecondsOf } from './cpu.ts';
import { goodsFor } from './goods.ts';
import type { Goods } from './goods.ts';
import type { Counted } from './load/contract.ts';
import { builtInGenerator } from './load/run.ts';
import { missingOutcomes, readOutcomes, unexpected } from './outcomes.ts';
import type { Outcomes } from './outcomes.ts';
import { proofFaults } from './proof.ts';
import type { Serving } from './servers.ts';
import type { BenchWorld } from './world.ts';

/** One measured run of an arm. */
export interface Run {
  readonly arm: string;
  readonly pressure: Pressure;
  readonly connections: number;
  /** Answers a second of the kinds that belong to the arm. */
  readonly rate: number;
  readonly counted: Counted;
  /** Answers of other kinds, as the gateway counted them, and their share of all answers. */
  readonly others: Readonly<Record<string, number>>;
  readonly othersShare: number;
  /** Transactions that wrote, from the start until no request ran any more; null where they are not counted. */
  readonly commits: number | null;
  /**
   * Statements a second that the databases received under load, and in an idle second before it; null where they are
   * not counted.
   */
  readonly statements: { readonly loaded: number; readonly idle: number } | null;
  /** CPU of each process for each answer that counts; null where it is not known. */
  readonly cpuMicros: { readonly server: number | null; readonly store: number | null; readonly generator: number };
  /** Why the run does not count; empty when it does. */
  readonly faults: readonly string[];
}

export interface MeasureOptions {
  readonly arm: Arm;
  readonly pressure: Pressure;
  readonly connections: number;
  readonly seconds: number;
  /** Requests a second, with `half_of_peak`. */
  readonly rate?: number;
  /** Absent: the goods of the arm. */
  readonly goods?: (prefix: string) => Goods;
}

/** A run with a larger share of other answers, or of broken connections, is void: it did not measure the arm. */
const OTHERS_SHARE_MAX = 0.01;
const BROKEN_SHARE_MAX = 0.001;
/** The longest wait for requests that were running when the load ended: the longest that a request may take. */
const SETTLE_MS = 4_000;
const SETTLE_POLL_MS = 100;
const IDLE_MS = 1_000;

let runs = 0;

/** Opens new goods, sends the load, and checks the books. */
export async function measure(world: BenchWorld, serving: Serving, options: MeasureOptions): Promise<Run> {
  const { arm, connections, seconds, pressure, rate } = options;
  runs += 1;
  const goods = (options.goods ?? ((prefix) => goodsFor(arm.goods, prefix, world.stack.shards.length)))(
    `r${String(runs).padStart(4, '0')}`,
  );
  await serving.stock?.open(goods);
  const basketFile = join(world.scratch, 'baskets');
  writeFileSync(basketFile, goods.baskets.map((skus) => `${skus.join(',')}\n`).join(''));
  const commitsBefore = (await serving.countCommits?.()) ?? null;
  const idle = serving.countStatements === undefined ? null : await statementsWhile(serving, () => sleep(IDLE_MS));
  const before = await readCounters(serving, 'before');
  const generator = pressure === 'all_out' ? world.generator : builtInGenerator;
  const load = { url: serving.url, basketFile, prefix: goods.prefix, traffic: arm.traffic, connections, seconds };
  const counting: Counted[] = [];
  const loaded = await statementsWhile(serving, async () =>
    counting.push(await generator({ ...load, ...(rate !== undefined && { rate }) })),
  );
  const [counted] = counting;
  if (counted === undefined) throw new Error('a load ended without counting');
  const after = await readCounters(serving, 'after');
  const bookFaults = await bookFaultsAfter(serving, goods, counted);
  const commitsAfter = (await serving.countCommits?.()) ?? null;
  const { share, others } = unexpected(before.outcomes, after.outcomes, arm.answers);
  const missing = missingOutcomes(before.outcomes, after.outcomes, arm.mustOccur);
  const good = counted.requests * (1 - share);
  const micros = (from: number | null, to: number | null): number | null =>
    from === null || to === null ? null : ((to - from) * 1e6) / good;
  return {
    arm: arm.name,
    pressure,
    connections,
    rate: good / counted.seconds,
    counted,
    others,
    othersShare: share,
    commits: commitsBefore === null || commitsAfter === null ? null : commitsAfter - commitsBefore,
    statements: idle === null || loaded === null ? null : { loaded, idle },
    cpuMicros: {
      server: micros(before.serverCpu, after.serverCpu),
      store: micros(before.storeCpu, after.storeCpu),
      generator: (counted.cpuSeconds * 1e6) / good,
    },
    faults: [
      ...bookFaults,
      ...loadFaults(arm, counted, share, others),
      ...missing.map((outcome) => `no answer was ${outcome}, so this arm was not measured`),
    ],
  };
}

/** @returns statements a second that the databases received during `work`, or null where they are not counted */
async function statementsWhile({ countStatements }: Serving, work: () => Promise<unknown>): Promise<number | null> {
  const [before, sinceMs] = [await countStatements?.(), performance.now()];
  await work();
  const after = await countStatements?.();
  return before === undefined || after === undefined
    ? null
    : ((after - before) * 1_000) / (performance.now() - sinceMs);
}

interface Reading {
  readonly outcomes: Outcomes;
  readonly serverCpu: number | null;
  readonly storeCpu: number | null;
}

/** @param side of the run. A scrape of the metrics costs CPU too, so it lies outside the measured time. */
async function readCounters({ pid, storePids, adminUrl }: Serving, side: 'before' | 'after'): Promise<Reading> {
  const clocks = (): Omit<Reading, 'outcomes'> => ({ serverCpu: cpuSeconds(pid), storeCpu: cpuSecondsOf(storePids) });
  const early = clocks();
  const outcomes = adminUrl === null ? new Map<string, number>() : await readOutcomes(adminUrl);
  return { outcomes, ...(side === 'before' ? clocks() : early) };
}

/** Reads the books until they are right, or until `SETTLE_MS`: requests still run, and carts complete their holds. */
async function bookFaultsAfter({ stock }: Serving, goods: Goods, counted: Counted): Promise<string[]> {
  if (stock === null) return counted.requests === 0 ? ['no request was answered'] : [];
  const untilMs = performance.now() + SETTLE_MS;
  for (;;) {
    await sleep(SETTLE_POLL_MS);
    const status = await stock.read(goods);
    const faults = proofFaults(counted, status, goods.baskets[0]?.length ?? 1);
    if (faults.length === 0 || performance.now() > untilMs) return faults;
  }
}

function loadFaults(
  arm: Arm,
  { requests, refused, broken }: Counted,
  othersShare: number,
  others: Readonly<Record<string, number>>,
): string[] {
  const faults: string[] = [];
  if (broken > requests * BROKEN_SHARE_MAX) faults.push(`${broken} connections broke or got no answer`);
  if (!arm.mayReject && othersShare > OTHERS_SHARE_MAX)
    faults.push(`answers of other kinds: ${JSON.stringify(others)}`);
  if ((arm.server === 'echo' || arm.server === 'redis') && refused > 0)
    faults.push(`${refused} answers of 400 and above`);
  return faults;
}
