import { text } from 'node:stream/consumers';
import { supervise } from '../cluster/supervise.ts';
import type { Supervised } from '../cluster/supervise.ts';

/** The result of a run of tests. */
export interface TestRun {
  /** From its closing line; null when it printed none. */
  readonly passed: number | null;
  readonly failed: number | null;
  readonly code: number | null;
  readonly seconds: number;
  /** Both outputs, for messages. */
  readonly output: string;
}

/** The limit of a run that hangs: longer than mocha's own limit for a test. */
const LIMIT_MS = 180_000;
/** The limit of the run without bugs, which has the tests of all bugs. */
export const SOUND_LIMIT_MS = 900_000;
const STOP_MS = 10_000;
const CLOSING_LINE = /^(\d+) passed, (\d+) failed$/m;

/** Runs tests of copies of the checkout. */
export class TestRunner {
  readonly #running = new Set<Supervised>();

  /** @param testFiles paths from the root of the copy @param grep null: all of their tests */
  async run(copy: string, testFiles: readonly string[], grep: string | null, limitMs = LIMIT_MS): Promise<TestRun> {
    const startedMs = performance.now();
    const child = supervise({
      command: process.execPath,
      arguments: ['--import', 'tsx', 'scripts/test.ts', ...(grep === null ? [] : ['--grep', grep]), ...testFiles],
      workingDirectory: copy,
      stdout: 'pipe',
      stderr: 'pipe',
    });
    if (child.stdout === null || child.stderr === null) throw new Error('both outputs are piped');
    this.#running.add(child);
    const timer = setTimeout(() => void child.stop(STOP_MS), limitMs);
    const [{ code }, out, err] = await Promise.all([child.exited, text(child.stdout), text(child.stderr)]);
    clearTimeout(timer);
    this.#running.delete(child);
    const [, passed, failed] = CLOSING_LINE.exec(out) ?? [];
    return {
      passed: passed === undefined ? null : Number(passed),
      failed: failed === undefined ? null : Number(failed),
      code,
      seconds: (performance.now() - startedMs) / 1_000,
      output: `${out}${err}`,
    };
  }

  /** Ends all current runs, with their servers. */
  async stop(): Promise<void> {
    await Promise.all([...this.#running].map((child) => child.stop(STOP_MS)));
  }
}
