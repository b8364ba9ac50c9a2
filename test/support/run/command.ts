import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { supervise } from '../../../scripts/cluster/supervise.ts';
import { bundled } from '../../../scripts/support/bundle.ts';
import { projectPath } from '../../../src/projectPath.ts';

/** The result of a command that has ended. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs. */
export interface Running {
  readonly pid: number;
  /** The next line on standard output. @throws when it ends without one */
  line(): Promise<string>;
  readonly finished: Promise<Finished>;
  signal(name: NodeJS.Signals): void;
}

/** Starts a command in a process of its own, which ends with this one. Both its outputs are kept. */
export function startCommand(command: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): Running {
  const { pid, stdout, stderr, exited, signal } = supervise({
    command,
    arguments: args,
    environment: { ...process.env, ...environment },
    workingDirectory: projectPath('.'),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  if (stdout === null || stderr === null) throw new Error('both outputs are piped');
  const lines = createInterface({ input: stdout })[Symbol.asyncIterator]();
  const finished = Promise.all([exited, text(stdout), text(stderr)]).then(([exit, out, err]) => ({
    code: exit.code,
    stdout: out,
    stderr: err,
  }));
  const line = async (): Promise<string> => {
    const next = await lines.next();
    if (next.done === true) throw new Error(`${args.join(' ')} ended without a line: ${(await finished).stderr}`);
    return next.value;
  };
  return { pid, line, finished, signal };
}

/** Starts one of this project's TypeScript files. */
export async function startFile(
  file: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<Running> {
  return startCommand(process.execPath, [await bundled(file), ...args], environment);
}

/** Runs one of this project's TypeScript files to its end. */
export async function runFile(
  file: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<Finished> {
  return (await startFile(file, args, environment)).finished;
}

/** The addresses in a `ready …` line. @throws when it is another line */
export function addressesIn(line: string): { publicUrl: string; adminUrl: string } {
  const [, publicUrl, adminUrl] = /^ready (http:\S+) admin (http:\S+)$/.exec(line) ?? [];
  if (publicUrl === undefined || adminUrl === undefined) throw new Error(`not a ready line: ${line}`);
  return { publicUrl, adminUrl };
}

/** True while a process runs. A process that has ended, but that its parent has not yet reaped, does not run. */
export function isAlive(pid: number): boolean {
  const state = stateAndParent(pid);
  return state !== null && !['Z', 'X'].includes(state.state);
}

/** The state of a process and the number of its parent, or null when there is no such process. */
export function stateAndParent(pid: number): { state: string; parent: number } | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state = '', parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { state, parent: Number(parent) };
  } catch {
    return null;
  }
}
