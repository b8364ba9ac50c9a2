import { COMPARISONS } from './arms.ts';
import type { Comparison } from './arms.ts';

/** Comparisons with one reference, measured in one chain: reference, arm, reference, arm, reference. */
export type Chain = readonly [Comparison, ...Comparison[]];

/** Which comparisons, and how often. */
export interface Scope {
  readonly comparisons: readonly Comparison[];
  /** Numbers of connections. */
  readonly connections: readonly number[];
  readonly rounds: number;
}

/** The echo is always there to compare with. */
const ALWAYS = ['echo', 'echo_carts', 'echo_carts_4'];

/** The comparisons among some arms and the echo. @param names null: all */
export function comparisonsOf(names: readonly string[] | null): Comparison[] {
  if (names === null) return [...COMPARISONS];
  const measured = [...ALWAYS, ...names];
  return COMPARISONS.filter(({ arm, reference }) => measured.includes(arm) && measured.includes(reference));
}

/** How many measured runs these rounds take, for the progress. */
export function runCount({ comparisons, connections, rounds }: Scope): number {
  const runsOf = (chain: Chain): number =>
    chain[0].pressure === 'half_of_peak' ? 3 * chain.length : 2 * chain.length + 1;
  return (
    chainsOf(comparisons).reduce((sum, chain) => sum + connectionsOf(chain, connections).length * runsOf(chain), 0) *
    rounds
  );
}

/** Groups comparisons that share their reference. */
export function chainsOf(comparisons: readonly Comparison[]): Chain[] {
  const chains = new Map<string, [Comparison, ...Comparison[]]>();
  for (const comparison of comparisons) {
    const { reference, pressure, connections, world } = comparison;
    const key = [reference, pressure, connections ?? '', world ?? ''].join(' ');
    const chain = chains.get(key);
    if (chain === undefined) chains.set(key, [comparison]);
    else chain.push(comparison);
  }
  return [...chains.values()];
}

/** The numbers of connections of a chain, among those that are asked for. */
export function connectionsOf([{ connections }]: Chain, asked: readonly number[]): readonly number[] {
  if (connections === undefined) return asked;
  return connections === 1 || asked.includes(connections) ? [connections] : [];
}
