/**
 * Starts a command that cannot outlive this process.
 *
 * How: `sh` first starts a watcher, a subshell that blocks reading a pipe whose other end this process holds. Then `sh`
 * becomes the command by `exec`. When this process ends in any way, kill -9 included, the kernel closes the pipe. The
 * watcher then reads the end of the pipe and sends SIGKILL, which also ends a stopped process. A word on the pipe
 * signals that the command has ended, and that its process number may belong to another process now.
 *
 * Why not `setpriv --pdeathsig`: the kernel drops that request when the command changes its credentials. The request is
 * also lost when the parent dies before it is made, and exists on Linux only. Here the watcher starts before the
 * command. `exec` keeps the process number, so `pid`, signals and exit codes are those of the command, not of a shell.
 */
import { spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';

const WATCH_THEN_EXEC = `
  ( read -r word <&3 || kill -9 $$ ) </dev/null >/dev/null 2>&1 &
  exec "$@" 3<&-
`;

/** The target of output: a stream of the result, this process's own stream, none, or an open file descriptor. */
export type Output = 'pipe' | 'inherit' | 'ignore' | number;

export interface SuperviseOptions {
  command: string;
  arguments: readonly string[];
  /** The whole environment, not an addition; absent: that of this process. */
  environment?: NodeJS.ProcessEnv;
  workingDirectory?: string;
  /** An open file descriptor to read from; absent: /dev/null. */
  stdin?: number;
  /** Absent: 'inherit'. */
  stdout?: Output;
  /** Absent: 'inherit'. */
  stderr?: Output;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface Supervised {
  /** The command's own process number. */
  readonly pid: number;
  /** Only with 'pipe'. */
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** Fulfilled when the command ended in any way; never rejected. A command that is not found exits with 127. */
  readonly exited: Promise<Exit>;
  /** Sends a signal to the command; does nothing once it has ended. */
  signal(name: NodeJS.Signals): void;
  /** Sends SIGTERM, SIGCONT for a stopped command, and SIGKILL after `graceMs`. Fulfilled when it has ended. */
  stop(graceMs: number): Promise<Exit>;
}

/**
 * Runs a command that dies with this process. It gets a session of its own, so that Ctrl-C reaches this process alone,
 * which can then stop its children in order.
 *
 * @throws when the shell could not be started, for instance because the working directory is missing.
 */
export function supervise(options: SuperviseOptions): Supervised {
  const child = spawn('/bin/sh', ['-c', WATCH_THEN_EXEC, 'sh', options.command, ...options.arguments], {
    cwd: options.workingDirectory,
    env: options.environment ?? process.env,
    detached: true,
    stdio: [options.stdin ?? 'ignore', options.stdout ?? 'inherit', options.stderr ?? 'inherit', 'pipe'],
  });
  // Without this listener a failed start would end the whole process; the missing pid reports it.
  child.on('error', () => {});
  const pid = child.pid;
  if (pid === undefined)
    throw new Error(`${options.command} could not be started in ${options.workingDirectory ?? process.cwd()}`);

  const lifeline = child.stdio[3] as Writable;
  lifeline.on('error', () => {});
  let ended = false;
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      ended = true;
      lifeline.end('over\n', () => lifeline.destroy());
      resolve({ code, signal });
    });
  });

  const signal = (name: NodeJS.Signals): void => {
    if (!ended) child.kill(name);
  };
  return {
    pid,
    stdout: child.stdout,
    stderr: child.stderr,
    exited,
    signal,
    async stop(graceMs) {
      signal('SIGTERM');
      signal('SIGCONT');
      const timer = setTimeout(() => signal('SIGKILL'), graceMs);
      const exit = await exited;
      clearTimeout(timer);
      return exit;
    },
  };
}
