import type { Connection } from './connection.ts';
import { Unavailable } from './failures.ts';
import type { Shard } from '../shard.ts';

/** The pause between two questions; most work ends before the first. */
const CHECK_PAUSE_MS = 2_000;
/** So many unanswered questions in a row end the work: one may be lost on a busy machine. */
const UNANSWERED_MAX = 2;

/**
 * Lets work on a connection take as long as its statements may, but only while the server answers other connections. A
 * server that is stopped or cut off never ends what it began.
 *
 * @throws Unavailable when the server stopped answering, and the connection is destroyed; otherwise every error of
 *   `work`
 */
export async function whileServerAnswers<T>(shard: Shard, connection: Connection, work: () => Promise<T>): Promise<T> {
  let isOver = false;
  let unanswered = 0;
  let timer: NodeJS.Timeout | null = null;
  const check = async (): Promise<void> => {
    unanswered = (await shard.answers()) ? 0 : unanswered + 1;
    if (isOver) return;
    if (unanswered >= UNANSWERED_MAX) connection.destroy();
    else checkLater();
  };
  const checkLater = (): void => void (timer = setTimeout(() => void check(), CHECK_PAUSE_MS));
  checkLater();
  try {
    return await work();
  } catch (error) {
    if (unanswered >= UNANSWERED_MAX) throw new Unavailable('its server stopped answering while it was read');
    throw error;
  } finally {
    isOver = true;
    if (timer !== null) clearTimeout(timer);
  }
}
