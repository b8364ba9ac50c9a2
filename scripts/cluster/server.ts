import { open, readFile, realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { queryOnce } from './queryOnce.ts';
import type { Login } from './queryOnce.ts';
import type { DatabaseServer } from './contract.ts';
import type { Installation } from './install/installation.ts';
import { freePort } from './port.ts';
import { lastLines } from './run.ts';
import { ACCOUNT, serverArguments } from './settings.ts';
import type { ReplicationSettings } from './settings.ts';
import { supervise } from './supervise.ts';
import type { Supervised } from './supervise.ts';

const HOST = '127.0.0.1';
const START_LIMIT_MS = 60_000;
const ANSWER_LIMIT_MS = 3_000;
const POLL_MS = 25;
const SHUTDOWN_GRACE_MS = 30_000;
const PORT_ATTEMPTS = 3;
const RESTART_PORT_WAIT_SECONDS = 5;
const LOG_LINES = 20;

export interface ManagedServerOptions {
  installation: Installation;
  /** Initialised data for this installation's kind of server. */
  dataDirectory: string;
  serverId: number;
  bufferPoolMegabytes: number;
  extraArguments: readonly string[];
  replication?: ReplicationSettings;
  /** Called after each start, once the server answers. `start` waits for it, and fails if it fails. */
  onStarted?: (login: Login) => Promise<void>;
}

export interface ManagedServer extends DatabaseServer {
  /** Ends it at once; for data that will be deleted. */
  kill(): Promise<void>;
}

/** A server of our own that is not running yet. */
export function manageServer(options: ManagedServerOptions): ManagedServer {
  let port: number | undefined;
  let running: Supervised | undefined;
  let isEnding = false;

  const launch = async (chosen: number, portWaitSeconds: number): Promise<void> => {
    const [command, ...before] = options.installation.command;
    const log = await open(join(options.dataDirectory, 'error.log'), 'a');
    const settings = { ...options, port: chosen, portWaitSeconds };
    // The log also takes output from before the server opens it, such as the name of a missing library.
    const child = supervise({
      command,
      arguments: [...before, ...serverArguments(options.installation, settings), ...options.extraArguments],
      workingDirectory: options.dataDirectory,
      stdout: log.fd,
      stderr: log.fd,
    });
    await log.close();
    running = child;
    isEnding = false;
    void child.exited.then(() => {
      if (running === child) running = undefined;
    });
    const login = { host: HOST, port: chosen, ...ACCOUNT };
    await untilReady(child, login, options.dataDirectory);
    await options.onStarted?.(login);
  };

  return {
    host: HOST,
    get port() {
      if (port === undefined) throw new Error('the server was never started');
      return port;
    },
    ...ACCOUNT,
    get pid() {
      return running?.pid;
    },
    async start() {
      if (running !== undefined) {
        if (!isEnding) throw new Error(`the server on port ${port} is running already`);
        await running.exited;
      }
      if (port !== undefined) return launch(port, RESTART_PORT_WAIT_SECONDS);
      for (let attempt = 1; port === undefined; attempt += 1) {
        const chosen = await freePort();
        try {
          await launch(chosen, 0);
          port = chosen;
        } catch (error) {
          // Another process may have taken the port since it was found free.
          if (attempt === PORT_ATTEMPTS || !/address already in use/i.test(String(error))) throw error;
        }
      }
    },
    signal(name) {
      isEnding ||= name === 'SIGKILL' || name === 'SIGTERM';
      running?.signal(name);
    },
    async stop() {
      isEnding = true;
      await running?.stop(SHUTDOWN_GRACE_MS);
    },
    async kill() {
      isEnding = true;
      await running?.stop(0);
    },
  };
}

/** Ends the server and throws, with the end of its log, unless it answers in time. */
async function untilReady(child: Supervised, login: Login, dataDirectory: string): Promise<void> {
  const home = await realpath(dataDirectory);
  const deadline = Date.now() + START_LIMIT_MS;
  let ended = false;
  void child.exited.then(() => {
    ended = true;
  });
  while (!ended && Date.now() < deadline) {
    // Another server may answer on that port: ours is the one with our data directory.
    const row = await queryOnce(login, 'SELECT @@datadir AS home', ANSWER_LIMIT_MS).catch(() => undefined);
    if (row !== undefined && resolve(String(row.home)) === home) return;
    await Promise.race([sleep(POLL_MS), child.exited]);
  }
  await child.stop(0);
  const log = await readFile(join(dataDirectory, 'error.log'), 'utf8').catch(() => '');
  const fate = ended ? 'ended while starting' : `did not answer within ${START_LIMIT_MS / 1_000} s`;
  throw new Error(`the database server ${fate}; the end of its log:\n${lastLines(log, LOG_LINES)}`);
}
