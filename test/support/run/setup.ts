import { startStack } from '../../../scripts/support/stack.ts';
import type { Stack } from '../../../scripts/support/stack.ts';

let running: Stack | null = null;

/** Two servers: one can be frozen while the other serves. Shards 0 to 7 are on the first, 8 to 15 on the second. */
const SERVERS = 2;

/** The very first start downloads a server. */
const START_MS = 600_000;

/**
 * The shards that all tests of one process share. Each test uses SKUs of its own, so no data is cleared between tests.
 */
export function stack(): Stack {
  if (running === null) throw new Error('the shared stack is not running; the test runner starts it');
  return running;
}

/** Mocha runs this before the tests of each file in each of its processes, or once when it has only one process. */
export const mochaHooks = {
  async beforeAll(this: Mocha.Context): Promise<void> {
    this.timeout(START_MS);
    running ??= await startStack({
      servers: SERVERS,
      dataDirectory: '.local',
      onProgress: (line) => console.error(line),
    });
  },
};

/** Mocha runs this after the last test. The stacks of its other processes end with those processes. */
export async function mochaGlobalTeardown(): Promise<void> {
  await running?.stop();
}
