import { createInterface } from 'node:readline';
import { supervise } from '../cluster/supervise.ts';
import type { Exit } from '../cluster/supervise.ts';
import { bundled } from './bundle.ts';
import { projectPath } from '../../src/projectPath.ts';

/** A gateway in a process of its own, which ends with this process. */
export interface GatewayProcess {
  readonly publicUrl: string;
  readonly adminUrl: string;
  readonly pid: number;
  readonly exited: Promise<Exit>;
  signal(name: NodeJS.Signals): void;
  /** Sends SIGTERM, and SIGKILL when it has not drained in time. */
  stop(): Promise<Exit>;
}

const START_MS = 30_000;
const STOP_MS = 15_000;

/**
 * The same flags as in `npm start`. With the default semi-space for new objects, V8 copies the objects of running
 * requests again and again.
 */
export const GATEWAY_FLAGS: readonly string[] = ['--max-semi-space-size=64'];

/**
 * Starts `src/main.ts` and waits for its "ready" line on standard output.
 *
 * @param environment added to this process's own
 * @param entry another composition root, which prints the same line
 * @param flags of Node.js
 * @throws when it ends, or prints no such line in time
 */
export async function startGatewayProcess(
  environment: NodeJS.ProcessEnv,
  entry = 'src/main.ts',
  flags: readonly string[] = GATEWAY_FLAGS,
): Promise<GatewayProcess> {
  const child = supervise({
    command: process.execPath,
    arguments: [...flags, await bundled(entry)],
    environment: { ...process.env, ...environment },
    workingDirectory: projectPath('.'),
    stdout: 'pipe',
  });
  const { publicUrl, adminUrl } = await readiness(child).catch(async (error: unknown) => {
    await child.stop(0);
    throw error;
  });
  const { pid, exited, signal } = child;
  return { publicUrl, adminUrl, pid, exited, signal, stop: () => child.stop(STOP_MS) };
}

function readiness(child: ReturnType<typeof supervise>): Promise<{ publicUrl: string; adminUrl: string }> {
  const { stdout } = child;
  if (stdout === null) throw new Error('the output of a gateway process must be piped');
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`the gateway was not ready within ${START_MS / 1_000} s`)),
      START_MS,
    );
    void child.exited.then(({ code, signal }) =>
      reject(new Error(`the gateway ended before it was ready (${code ?? signal})`)),
    );
    createInterface({ input: stdout }).on('line', (line) => {
      const [, publicUrl, adminUrl] = /^ready (\S+) admin (\S+)$/.exec(line) ?? [];
      if (publicUrl === undefined || adminUrl === undefined) return;
      clearTimeout(timer);
      resolve({ publicUrl, adminUrl });
    });
  });
}
