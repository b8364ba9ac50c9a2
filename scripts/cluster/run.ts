import { supervise } from './supervise.ts';

export interface RunOptions {
  command: string;
  arguments: readonly string[];
  timeoutMs: number;
  /** An open file descriptor to read from; absent: /dev/null. */
  stdin?: number;
}

const ERROR_LINES = 20;

/**
 * Runs a command to its end.
 *
 * @returns its output on both streams.
 * @throws when it fails or takes too long; the message has its last lines of output.
 */
export async function run(options: RunOptions): Promise<{ stdout: string; stderr: string }> {
  const child = supervise({ ...options, stdout: 'pipe', stderr: 'pipe' });
  const outputs = Promise.all([text(child.stdout), text(child.stderr)]);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.signal('SIGKILL');
  }, options.timeoutMs);
  const exit = await child.exited;
  clearTimeout(timer);
  const [stdout, stderr] = await outputs;
  if (exit.code === 0) return { stdout, stderr };
  const fate = late ? `did not end within ${options.timeoutMs} ms` : `ended with ${exit.signal ?? `code ${exit.code}`}`;
  throw new Error(`${options.command} ${fate}: ${lastLines(stderr || stdout, ERROR_LINES)}`);
}

/** The last `count` lines that are not empty. */
export function lastLines(printed: string, count: number): string {
  return printed
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(-count)
    .join('\n');
}

async function text(stream: NodeJS.ReadableStream | null): Promise<string> {
  let all = '';
  if (stream === null) return all;
  stream.setEncoding('utf8');
  for await (const chunk of stream) all += String(chunk);
  return all;
}
