import { SingleFlight } from '../tasks/singleFlight.ts';

/**
 * The outcome for some holds. `settled`: at least one hold was completed. `open`: a cart is undecided. `unreachable`:
 * the record of a cart, or the shard of a hold, could not be reached.
 */
export type HoldCompletion = 'settled' | 'open' | 'unreachable';

/** Orders for one SKU find the same holds. Each cart record is read, and its holds completed, once for all of them. */
export function shareHoldCompletion(): SingleFlight<HoldCompletion> {
  return new SingleFlight((completion) => completion === 'settled');
}
