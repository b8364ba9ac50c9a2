import { run } from '../../cluster/run.ts';
import { bundled } from '../../support/bundle.ts';
import { projectPath } from '../../../src/projectPath.ts';
import { againAfter } from './contract.ts';
import type { Counted, LoadOptions } from './contract.ts';

/** Sends load and counts. */
export type Generator = (options: LoadOptions) => Promise<Counted>;

/** Threads of wrk. With two threads on two processors, one thread starves beside the servers under test. */
const THREADS = 1;
const GRACE_MS = 30_000;

/**
 * wrk costs little CPU, and sends again whenever a connection was answered.
 *
 * @param command the program, and the arguments that precede its own
 */
export function wrkGenerator(command: readonly [string, ...string[]]): Generator {
  const [program, ...before] = command;
  return async ({ url, basketFile, prefix, traffic, connections, seconds, rate }) => {
    if (rate !== undefined) throw new Error('wrk keeps no rate');
    const { stdout } = await run({
      command: program,
      arguments: [
        ...before,
        ...['-t', String(THREADS), '-c', String(connections), '-d', `${seconds}s`, '--timeout', '5s'],
        ...[
          '-s',
          projectPath('scripts/bench/load/traffic.lua'),
          `${url}/v1/deductions`,
          '--',
          basketFile,
          prefix,
          traffic,
          String(againAfter(connections)),
        ],
      ],
      timeoutMs: seconds * 1_000 + GRACE_MS,
    });
    return parseCounted(stdout);
  };
}

/** The built-in generator keeps a rate if one is given, and measures latency from the moment when a request was due. */
export const builtInGenerator: Generator = async (options) => {
  const { stdout } = await run({
    command: process.execPath,
    arguments: [await bundled('scripts/bench/load/main.ts'), JSON.stringify(options)],
    timeoutMs: options.seconds * 1_000 + GRACE_MS,
  });
  return parseCounted(stdout);
};

const FIELDS = [
  'requests',
  'refused',
  'broken',
  'seconds',
  'made',
  'repeated',
  'short',
  'cpuSeconds',
  'p50Ms',
  'p99Ms',
] as const;

/** Finds the line with the counts in the output of a generator. @throws when there is none, or a count is missing */
export function parseCounted(printed: string): Counted {
  const line = printed.split('\n').findLast((candidate) => candidate.startsWith('{'));
  if (line === undefined) throw new Error(`the load generator printed no counts: ${printed.slice(0, 500)}`);
  const counted = JSON.parse(line) as Counted;
  const missing = FIELDS.filter((field) => !Number.isFinite(counted[field]));
  if (missing.length > 0) throw new Error(`the load generator did not count ${missing.join(', ')}: ${line}`);
  return counted;
}
