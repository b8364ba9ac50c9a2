import type { Scene } from './calls.ts';
import type { Random } from './random.ts';
import type { ProofWorld } from './world.ts';

/** One kind of fault that a round can inject. */
export interface BenchFault {
  readonly kind: string;
  /** False where this server product cannot have the fault. */
  readonly fitsProduct?: (product: string) => boolean;
  /** False where the world lacks the part that the fault breaks. */
  readonly hasTarget?: (world: ProofWorld) => boolean;
  /** Injects the fault. @returns a function that repairs it; it may take a while, and must be called */
  begin(world: ProofWorld, random: Random, scene: Scene): Promise<() => Promise<void>>;
}
