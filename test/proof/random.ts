/** A repeatable random source: the same seed gives the same numbers. */
export interface Random {
  /** Uniform from 0, included, to 1, excluded. */
  share(): number;
  /** A whole number from `min` to `max`, both included. */
  whole(min: number, max: number): number;
  pick<T>(things: readonly T[]): T;
  chance(share: number): boolean;
}

/** A random source with a seed (mulberry32). */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  const share = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const whole = (min: number, max: number): number => min + Math.floor(share() * (max - min + 1));
  return {
    share,
    whole,
    pick: (things) => things[whole(0, things.length - 1)] as (typeof things)[number],
    chance: (limit) => share() < limit,
  };
}
