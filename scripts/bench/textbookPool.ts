import type { Arm } from './arms.ts';
import { measure } from './measure.ts';
import type { BenchWorld } from './world.ts';

/** Connections to each shard. */
const SIZES = [4, 16, 64];
const CONNECTIONS = 256;

/** Measures the textbook gateway with pools of several sizes. @returns requests a second by size */
export async function bestPool(world: BenchWorld, arm: Arm, seconds: number): Promise<Record<number, number>> {
  const rates: Record<number, number> = {};
  for (const size of SIZES) {
    await world.keepOnly([]);
    const serving = await world.serve(arm.server, size);
    if (serving === null) throw new Error(`${arm.name} did not start`);
    const options = { arm, pressure: 'all_out', connections: CONNECTIONS, seconds } as const;
    await measure(world, serving, options);
    rates[size] = (await measure(world, serving, options)).rate;
  }
  await world.keepOnly([]);
  return rates;
}
