import type { CartKey, CommitDecision, Line } from '../../core/types.ts';
import type { RoutedToShard } from '../routing/lineRouter.ts';
import { pause } from '../../core/async/pause.ts';
import { completeCart } from './completeHolds.ts';
import type { HoldPorts } from './completeHolds.ts';

/** Completion continues after the answer for at most this time; the sweeper completes the rest. */
export const COMPLETION_MS = 3_000;
/** The longest pause before the first retry, in milliseconds. It doubles with each retry and is uniformly random. */
const FIRST_PAUSE_MS = 40;

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
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs *= 2) {
    if (await completeCart(ports, cart, lines, decision, deadlineMs, isHeld)) return;
    if (performance.now() >= deadlineMs) return;
    await pause(Math.min(Math.random() * pauseMs, Math.max(0, deadlineMs - performance.now())));
  }
}
