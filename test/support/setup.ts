import { startStack } from '../../scripts/support/stack.ts';
import type { Stack } from '../../scripts/support/stack.ts';

let running: Stack | null = null;

/** Two servers, so that one can be frozen while the other serves: shards 0 to 7 are on the first, 8 to 15 on the second. */
const SERVERS = 2;
/** The first start may have to fetch a server. */
const START_MS = 600_000;

/** The shards that all tests share. Each test uses SKUs of its own, so nothing is cleared between them. */
export function stack(): Stack {
  if (running === null) throw new Error('the shared stack is started by the test runner');
  return running;
}

/** Of a worker of a run in parallel: it serves several files, and is ended from outside when there are no more. */
const IS_WORKER = process.env['MOCHA_WORKER_ID'] !== undefined;

export const mochaHooks = {
  /** Before the first test of a run; in a worker before the first test of each file. */
  async beforeAll(this: Mocha.Context): Promise<void> {
    this.timeout(START_MS);
    running ??= await startStack({ servers: SERVERS, dataDirectory: '.local', say: (line) => console.error(line) });
  },
  async afterAll(): Promise<void> {
    if (IS_WORKER) return;
    await running?.stop();
  },
};
