import { armNamed } from './arms.ts';
import type { Arm, Comparison } from './arms.ts';
import { chainsOf, connectionsOf } from './chains.ts';
import type { Chain, Scope } from './chains.ts';
import { measure } from './measure.ts';
import type { Run } from './measure.ts';
import { rawInserts } from './rawInserts.ts';
import type { RawInserts } from './rawInserts.ts';
import { spreadOf } from './report/statistics.ts';
import { bestPool, poolsOf } from './textbookPool.ts';
import type { Serving } from './servers.ts';
import type { BenchWorld } from './world.ts';

/** A run of an arm between two of its reference. */
export interface MeasuredPair {
  readonly comparison: Comparison;
  readonly connections: number;
  readonly run: Run;
  readonly references: readonly [Run, Run];
  /** The figures of the database alone in the same round; only beside the echo. */
  readonly raw: RawInserts | null;
}

export interface Measured {
  readonly pairs: readonly MeasuredPair[];
  /** Every measured run once. */
  readonly runs: readonly Run[];
  /** Requests a second of the textbook gateway by pool size, by arm. */
  readonly pools: Readonly<Record<string, Readonly<Record<number, number>>>>;
}

export interface RoundsOptions extends Scope {
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly onRun: (note: string) => void;
}

/** Measures all comparisons. A chain with a server that cannot be had is skipped. */
export async function measureAll(world: BenchWorld, options: RoundsOptions): Promise<Measured> {
  const all = { pairs: [] as MeasuredPair[], runs: [] as Run[], pools: {} as Record<string, Record<number, number>> };
  for (const chain of chainsOf(options.comparisons)) {
    const reference = armNamed(chain[0].reference);
    const arms = chain.map(({ arm }) => armNamed(arm));
    await world.keepOnly([reference, ...arms].map(({ server }) => server));
    if (poolsOf(reference.server) !== null)
      all.pools[reference.name] ??= await bestPool(world, reference, options.warmUpSeconds);
    const kept = [reference, ...arms].filter(({ server }) => poolsOf(server) === null);
    const servings = await serveAll(world, kept);
    if (servings === null) continue;
    const warmUp = async (arm: Arm, serving: Serving): Promise<void> => {
      await measure(world, serving, {
        arm,
        pressure: 'all_out',
        connections: options.connections[0] ?? 1,
        seconds: options.warmUpSeconds,
      });
    };
    for (const arm of kept) await warmUp(arm, servings.get(arm.name)!);
    // A large pool pings hundreds of idle connections, which would slow down the other arms. So the textbook gateway
    // runs only during its own measurements.
    const serve: ServeForRun = async (arm, run) => {
      const lasting = servings.get(arm.name);
      if (lasting !== undefined) return run(lasting);
      const serving = await world.serve(arm.server, bestOf(all.pools[arm.name] ?? {}));
      if (serving === null) throw new Error(`${arm.name} did not start`);
      await warmUp(arm, serving);
      const measured = await run(serving);
      await world.keepOnly(kept.map(({ server }) => server));
      return measured;
    };
    for (let round = 0; round < options.rounds; round += 1) {
      for (const connections of connectionsOf(chain, options.connections)) {
        const measured = await measureChain(world, serve, {
          chain,
          connections,
          seconds: options.seconds,
          earlier: all.runs,
          onRun: options.onRun,
        });
        all.pairs.push(...measured.pairs);
        all.runs.push(...measured.runs);
      }
    }
  }
  return all;
}

interface ChainOptions {
  readonly chain: Chain;
  readonly connections: number;
  readonly seconds: number;
  readonly earlier: readonly Run[];
  readonly onRun: (note: string) => void;
}

/** Measures a run on the server of an arm. */
type ServeForRun = (arm: Arm, run: (serving: Serving) => Promise<Run>) => Promise<Run>;

async function measureChain(
  world: BenchWorld,
  serve: ServeForRun,
  options: ChainOptions,
): Promise<{ pairs: MeasuredPair[]; runs: Run[] }> {
  const { chain, connections, seconds, earlier, onRun } = options;
  const runs: Run[] = [];
  const step = async (name: string, rate: number | undefined): Promise<Run> => {
    const arm = armNamed(name);
    const { pressure } = chain[0];
    const run = await serve(arm, (serving) =>
      measure(world, serving, { arm, pressure, connections, seconds, ...(rate !== undefined && { rate }) }),
    );
    runs.push(run);
    onRun(`${name}, ${connections}: ${Math.round(run.rate)}/s`);
    return run;
  };
  const raw = chain[0].reference === 'echo' ? await measureRaw(world, seconds / 2) : null;
  const pairs: MeasuredPair[] = [];
  let before: Run | null = null;
  for (const comparison of chain) {
    const rate = comparison.pressure === 'half_of_peak' ? halfOfPeak(earlier, comparison.arm, connections) : undefined;
    // With a fixed rate, each arm has its own rate, so it needs reference runs of its own.
    if (before === null || rate !== undefined) before = await step(comparison.reference, rate);
    const run = await step(comparison.arm, rate);
    const after = await step(comparison.reference, rate);
    pairs.push({ comparison, connections, run, references: [before, after], raw });
    before = after;
  }
  return { pairs, runs };
}

let raws = 0;

async function measureRaw({ stack }: BenchWorld, seconds: number): Promise<RawInserts> {
  const [shard] = stack.shards;
  if (shard === undefined) throw new Error('a stack has shards');
  raws += 1;
  return rawInserts({
    address: shard.address,
    serverPid: stack.cluster.servers[0]?.pid,
    sku_id: `raw${String(raws).padStart(4, '0')}`,
    seconds,
  });
}

function halfOfPeak(runs: readonly Run[], arm: string, connections: number): number {
  const peaks = runs.filter((run) => run.arm === arm && run.connections === connections && run.pressure === 'all_out');
  const peak = spreadOf(peaks.map(({ rate }) => rate));
  if (peak === null)
    throw new Error(
      `${arm} was not measured all out with ${connections} connections, so half of its peak is not known`,
    );
  return Math.round(peak.median / 2);
}

function bestOf(rates: Readonly<Record<number, number>>): number | undefined {
  const [best] = Object.entries(rates).sort(([, a], [, b]) => b - a);
  return best === undefined ? undefined : Number(best[0]);
}

async function serveAll(world: BenchWorld, arms: readonly Arm[]): Promise<Map<string, Serving> | null> {
  const servings = new Map<string, Serving>();
  for (const { name, server } of arms) {
    const serving = await world.serve(server);
    if (serving === null) return null;
    servings.set(name, serving);
  }
  return servings;
}
