import { queryOnce } from '../../cluster/queryOnce.ts';
import type { Cluster } from '../../cluster/contract.ts';
import { readBooks } from '../../support/books.ts';
import type { Arm } from '../arms.ts';
import { SCALING, SCALING_CONTROL } from '../arms.ts';
import { splitGoods, spreadGoods } from '../goods.ts';
import type { Goods } from '../goods.ts';
import { measure } from '../measure.ts';
import type { Run } from '../measure.ts';
import type { Serving } from '../servers.ts';
import type { BenchWorld } from '../world.ts';
import type { ScalingRun } from './rows.ts';
import { connectionsFor, RUN_LENGTH_FACTOR, SUB_ROWS } from './setting.ts';
import { splittingStock } from './splitting.ts';

export interface ScalingOptions {
  readonly rounds: number;
  /** The length of a run of the other arms; a run here takes `RUN_LENGTH_FACTOR` times that. */
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly onRun: (note: string) => void;
}

/** The measured runs, and the faults in the books of all shards at the end. */
export interface Scaled {
  readonly runs: readonly ScalingRun[];
  readonly faults: readonly string[];
}

const ANSWER_MS = 5_000;
const WRITTEN = "SHOW GLOBAL STATUS LIKE 'Binlog_cache_use'";

/** The number of runs, for the progress bar. */
export function scalingRunCount(rounds: number): number {
  return rounds * SUB_ROWS.length * 2;
}

/** Measures every number of sub-rows in each round, and as its control the same number of SKUs. */
export async function measureScaling(world: BenchWorld, options: ScalingOptions): Promise<Scaled> {
  const serving = await servingOf(world);
  const shardCount = world.stack.shards.length;
  const control = {
    arm: SCALING_CONTROL,
    goodsOn: (sub_rows: number) => (prefix: string) => spreadGoods(prefix, sub_rows, shardCount),
  };
  const arms = [
    { arm: SCALING, goodsOn: (sub_rows: number) => (prefix: string) => splitGoods(prefix, sub_rows) },
    control,
  ];
  const runOn = (arm: Arm, sub_rows: number, seconds: number, goods: (prefix: string) => Goods): Promise<Run> =>
    measure(world, serving, { arm, pressure: 'all_out', connections: connectionsFor(sub_rows), seconds, goods });
  await runOn(control.arm, shardCount, options.warmUpSeconds, control.goodsOn(shardCount));
  const runs: ScalingRun[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const sub_rows of SUB_ROWS) {
      for (const { arm, goodsOn } of arms) {
        const run = await runOn(arm, sub_rows, options.seconds * RUN_LENGTH_FACTOR, goodsOn(sub_rows));
        runs.push({ round, sub_rows, run });
        options.onRun(`${arm.name}, ${sub_rows}: ${Math.round(run.rate)}/s`);
      }
    }
  }
  return { runs, faults: await bookFaults(world) };
}

async function servingOf(world: BenchWorld): Promise<Serving & { readonly adminUrl: string }> {
  const serving = await world.serve('gateway');
  if (serving === null || serving.adminUrl === null || serving.stock === null)
    throw new Error('the gateway did not start');
  const gateway = { url: serving.url, adminUrl: serving.adminUrl };
  return {
    ...serving,
    ...gateway,
    stock: splittingStock(serving.stock, gateway),
    countCommits: () => writtenBy(world.stack.cluster),
  };
}

/** Transactions that all servers have written to their binary logs. */
async function writtenBy({ servers }: Cluster): Promise<number> {
  const rows = await Promise.all(servers.map((server) => queryOnce(server, WRITTEN, ANSWER_MS)));
  return rows.reduce((sum, row) => sum + Number(row['Value']), 0);
}

/** Checks every row of every shard, transfers between sub-rows too: the check of a run reads only its own goods. */
async function bookFaults({ stack }: BenchWorld): Promise<string[]> {
  const differences = (await readBooks(stack)).flatMap((books) => books.differences);
  return differences.map(({ sku_id, leaved, expected }) => `${sku_id}: ${leaved} are left, ${expected} by its flows`);
}
