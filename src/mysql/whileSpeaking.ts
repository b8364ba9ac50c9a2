import type { Connection } from './connection.ts';
import { Unavailable } from './failures.ts';
import type { Shard } from './shard.ts';

/** From one question to the next; most work is done before the first. */
const ASK_MS = 2_000;
/** One may be lost on a busy machine. */
const SILENCES_MAX = 2;

/**
 * Lets work on a connection take as long as its statements may, but only while the server answers others: one that is
 * stopped or cut off never ends what it began.
 *
 * @throws Unavailable when the server fell silent, and the connection is destroyed; otherwise whatever the work throws
 */
export async function whileSpeaking<T>(shard: Shard, connection: Connection, work: () => Promise<T>): Promise<T> {
  let isOver = false;
  let silences = 0;
  let timer: NodeJS.Timeout | null = null;
  const ask = async (): Promise<void> => {
    silences = (await shard.speaks()) ? 0 : silences + 1;
    if (isOver) return;
    if (silences >= SILENCES_MAX) connection.destroy();
    else askLater();
  };
  const askLater = (): void => void (timer = setTimeout(() => void ask(), ASK_MS));
  askLater();
  try {
    return await work();
  } catch (error) {
    if (silences >= SILENCES_MAX) throw new Unavailable('its server stopped answering while it was read');
    throw error;
  } finally {
    isOver = true;
    if (timer !== null) clearTimeout(timer);
  }
}
