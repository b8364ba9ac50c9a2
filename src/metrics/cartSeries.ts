import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import type { UnfinishedCarts } from '../core/ports/cartRecords.ts';
import type { ShardState } from '../core/ports/shardOverview.ts';

/** Makes the series of carts that are not complete. @returns a function that records the result of a sweep */
export function cartSeries(
  registers: Registry[],
  shards: () => readonly ShardState[],
): (shard: string, leftOver: UnfinishedCarts | null) => void {
  const ofCarts = (name: string, help: string): Gauge<'shard'> =>
    new Gauge({ name, help, aggregator: 'max', labelNames: ['shard'] as const, registers });
  const cartsOpen = ofCarts('stockgate_carts_undecided', 'Undecided carts whose record is on the shard');
  const cartAge = ofCarts('stockgate_cart_undecided_oldest_seconds', 'Age of the oldest undecided cart on the shard');
  const holdsOpen = ofCarts('stockgate_holds', 'Holds of carts on the shard that are not completed');
  const holdAge = ofCarts('stockgate_hold_oldest_seconds', 'Age of the oldest hold on the shard');
  const sweeps = new Counter({
    name: 'stockgate_sweeps_total',
    help: 'Sweeps for unfinished carts, by whether the shard answered',
    labelNames: ['shard', 'answered'] as const,
    registers,
  });
  // Starts at 0, so that a shard without any sweep is visible as one without progress.
  for (const { name } of shards()) for (const answered of ['true', 'false']) sweeps.inc({ shard: name, answered }, 0);
  return (shard, leftOver) => {
    sweeps.inc({ shard, answered: String(leftOver !== null) });
    if (leftOver === null) return;
    cartsOpen.set({ shard }, leftOver.cartsOpen);
    cartAge.set({ shard }, leftOver.cartAgeMs / 1_000);
    holdsOpen.set({ shard }, leftOver.holdsOpen);
    holdAge.set({ shard }, leftOver.holdAgeMs / 1_000);
  };
}
