import type { CartKey, CommitDecision, Line } from '../../core/types.ts';
import type { RoutedToShard } from '../routing/lineRouter.ts';
import { completeCart, pauseBeforeRetry } from './completeHolds.ts';
import type { HoldPorts } from './completeHolds.ts';

/** Completion continues after the answer for at most this time; the sweeper completes the rest. */
export const COMPLETION_MS = 3_000;

/**
 * Completes holds by the decision on their order. While a shard does not answer, it retries for `COMPLETION_MS`.
 *
 * @param isHeld the caller holds these lines itself, so they need not be read
 */
export async function completeUntilDone(
  ports: HoldPorts,
  cart: CartKey,
  lines: readonly RoutedToShard<Line>[],
  decision: CommitDecision,
  isHeld = false,
): Promise<void> {
  if (lines.length === 0) return;
  const deadlineMs = performance.now() + COMPLETION_MS;
  while (!(await completeCart(ports, cart, lines, decision, deadlineMs, isHeld))) {
    if (performance.now() >= deadlineMs) return;
    await pauseBeforeRetry();
  }
}
