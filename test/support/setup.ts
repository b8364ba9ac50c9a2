import { startStack } from '../../scripts/support/stack.ts';
import type { Stack } from '../../scripts/support/stack.ts';

let running: Stack | null = null;

/** Two servers, so that one can be frozen while the other serves: shards 0 to 7 are on the first, 8 to 15 on the second. */
const SERVERS = 2;

/** The shards that all tests share. Each test uses SKUs of its own, so nothing is cleared between them. */
export function stack(): Stack {
  if (running === null) throw new Error('the shared stack is started by the test runner');
  return running;
}

/** Run by mocha before the first test. */
export async function mochaGlobalSetup(): Promise<void> {
  running = await startStack({ servers: SERVERS, dataDirectory: '.local', say: (line) => console.error(line) });
}

/** Run by mocha after the last. */
export async function mochaGlobalTeardown(): Promise<void> {
  await running?.stop();
}
