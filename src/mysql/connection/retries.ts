import type { DeadlineMs } from '../../core/types.ts';
import { ConnectionLost, isReadOnlyError, Raced, SERVER_ERROR, ServerError } from './failures.ts';
import type { RetryBudget } from './retryBudget.ts';
import { pause } from '../../core/async/pause.ts';

interface Retry {
  /** How many more times the whole transaction is tried. */
  readonly times: number;
  /** The pause before each try is random between zero and this, doubled each time. */
  readonly pauseMsMax: number;
}

/** Every reason to try a transaction again. After any other error it is not tried again. */
const RETRIES = {
  deadlock: { times: 3, pauseMsMax: 10 },
  raced: { times: 3, pauseMsMax: 10 },
  /** A connection that broke, most often while idle. A timeout is no reason, because the shard is slow already. */
  connectionBroke: { times: 1, pauseMsMax: 0 },
  /** The primary has changed: a new connection may reach the new primary. */
  readOnly: { times: 1, pauseMsMax: 0 },
} as const satisfies Record<string, Retry>;

/** The errors that a server may send when it ends a connection. */
const CONNECTION_ENDED: ReadonlySet<number> = new Set([
  SERVER_ERROR.shuttingDown,
  SERVER_ERROR.connectionKilled,
  SERVER_ERROR.sessionEnded,
]);

/** The pause between two in-doubt reads. They change nothing, so they are repeated until the deadline. */
const RESOLVE_PAUSE_MS = 50;

/**
 * Tries a transaction again as the table above allows, within the deadline and the shard's budget.
 *
 * @throws what the last try threw
 */
export async function withRetries<T>(
  deadlineMs: DeadlineMs,
  budget: RetryBudget,
  attempt: () => Promise<T>,
): Promise<T> {
  budget.earn();
  const used = { deadlock: 0, raced: 0, connectionBroke: 0, readOnly: 0 };
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const kind = kindOf(error);
      if (kind === null || used[kind] >= RETRIES[kind].times) throw error;
      const pauseMs = Math.random() * RETRIES[kind].pauseMsMax * 2 ** used[kind];
      used[kind] += 1;
      if (performance.now() + pauseMs >= deadlineMs || !budget.spend()) throw error;
      await pause(pauseMs);
    }
  }
}

/**
 * Repeats a read that resolves an in-doubt write, until it is answered or the deadline has passed.
 *
 * @param isFinal whether no other try is made after a failure
 * @throws what the last try threw
 */
export async function untilAnswered<T>(
  deadlineMs: DeadlineMs,
  read: () => Promise<T>,
  isFinal: (error: unknown) => boolean = () => false,
): Promise<T> {
  for (;;) {
    try {
      return await read();
    } catch (error) {
      if (isFinal(error) || performance.now() + RESOLVE_PAUSE_MS >= deadlineMs) throw error;
      await pause(RESOLVE_PAUSE_MS);
    }
  }
}

function kindOf(error: unknown): keyof typeof RETRIES | null {
  if (error instanceof ServerError && error.number === SERVER_ERROR.deadlock) return 'deadlock';
  if (error instanceof ServerError && CONNECTION_ENDED.has(error.number)) return 'connectionBroke';
  if (isReadOnlyError(error)) return 'readOnly';
  if (error instanceof Raced) return 'raced';
  if (error instanceof ConnectionLost) return error.timedOut ? null : 'connectionBroke';
  return null;
}
