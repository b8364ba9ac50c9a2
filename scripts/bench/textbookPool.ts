import type { Arm, ServerName } from './arms.ts';
import { measure } from './measure.ts';
import type { BenchWorld } from './world.ts';

/** The pools of a textbook gateway. */
export interface TextbookPools {
  /** The part of the databases that one pool connects to. */
  readonly each: string;
  /** Connections of one pool. */
  readonly sizes: readonly number[];
}

/** An order of several shards is one transaction, so that gateway has one pool for the whole server. */
const POOLS: Partial<Record<ServerName, TextbookPools>> = {
  textbook: { each: 'shard', sizes: [4, 16, 64] },
  textbook_carts: { each: 'server', sizes: [16, 64, 256] },
};
const CONNECTIONS = 256;

/** @returns null for a server that is no textbook gateway */
export function poolsOf(server: ServerName): TextbookPools | null {
  return POOLS[server] ?? null;
}

/** Measures the textbook gateway with pools of several sizes. @returns requests a second by size */
export async function bestPool(world: BenchWorld, arm: Arm, seconds: number): Promise<Record<number, number>> {
  const rates: Record<number, number> = {};
  for (const size of poolsOf(arm.server)?.sizes ?? []) {
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
