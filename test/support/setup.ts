import { startStack } from '../../scripts/support/stack.ts';
import type { Stack } from '../../scripts/support/stack.ts';

let running: Stack | null = null;

/** Two servers, so that one can be frozen while the other serves: shards 0 to 7 are on the first, 8 to 15 on the second. */
const SERVERS = 2;

/** The first of all fetches a server. */
const START_MS = 600_000;

/** The shards that all tests of one process share. Each test uses SKUs of its own, so nothing is cleared between them. */
export function stack(): Stack {
  if (running === null) throw new Error('the shared stack is started by the test runner');
  return running;
}

/** Run by mocha before the tests of each file in every one of its processes, or once where it has one process. */
export const mochaHooks = {
  async beforeAll(this: Mocha.Context): Promise<void> {
    this.timeout(START_MS);
    running ??= await startStack({ servers: SERVERS, dataDirectory: '.local', say: (line) => console.error(line) });
  },
};

/** Run by mocha after the last test. The stacks of its other processes end with those. */
export async function mochaGlobalTeardown(): Promise<void> {
  await running?.stop();
}
