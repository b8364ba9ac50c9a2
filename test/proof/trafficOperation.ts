import type { Scene } from './calls.ts';
import type { Entry } from './history.ts';

/** One operation of the product, as traffic. */
export interface TrafficOperation {
  readonly name: string;
  /** How often it is picked, relative to the others of its kind. */
  readonly weight: number;
  /** An order of several SKUs. The share of these in the traffic is an option of the round. */
  readonly isCart?: true;
  /** How it ends without faults; `done` where this is absent. */
  readonly ends?: 'refused';
  /** @returns the last entry that it sent, with its end; null if there was nothing to do */
  run(scene: Scene): Promise<Entry | null>;
}
