import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@redis/client';
import { freePort } from '../port.ts';
import { supervise } from '../supervise.ts';
import type { Supervised } from '../supervise.ts';
import type { Command } from '../install/tools.ts';

/** A redis-server that we start. It listens on this machine only and stores nothing on disk. */
export interface RedisProcess {
  readonly host: string;
  readonly port: number;
  /** The id of the process that runs now. */
  readonly pid: number;
  signal(name: NodeJS.Signals): void;
  /** Fulfilled when it has ended. */
  stop(): Promise<void>;
  /** Waits until it has ended, starts it again on the same port, and waits until it answers. */
  startAgain(): Promise<void>;
  /** Sends one command over a connection of its own. */
  ask(...words: string[]): Promise<unknown>;
}

export const HOST = '127.0.0.1';
const START_MS = 10_000;
const POLL_MS = 50;
const STOP_MS = 5_000;
/** The other nodes take a node for down when it does not answer for this long. */
export const DOWN_MS = 1_000;
const IN_MEMORY = ['--save', '', '--appendonly', 'no'];

/**
 * Starts a server that dies with this process.
 *
 * @param command the result of `findTool`
 * @param directory the folder of all servers; each makes a folder of its own there
 * @param settings added after the settings that all servers have
 */
export async function startRedis(
  command: Command,
  directory: string,
  settings: readonly string[] = [],
): Promise<RedisProcess> {
  const port = await freePort();
  return startOn(command, join(directory, `redis-${port}`), port, (home) => [
    '--bind',
    HOST,
    '--port',
    String(port),
    '--dir',
    home,
    ...IN_MEMORY,
    ...settings,
  ]);
}

/** Starts a Sentinel that watches a master under this name; `quorum` Sentinels must agree that it is down. */
export async function startSentinel(
  command: Command,
  directory: string,
  watched: { readonly name: string; readonly port: number; readonly quorum: number },
): Promise<RedisProcess> {
  const port = await freePort();
  return startOn(command, join(directory, `sentinel-${port}`), port, (home) => {
    const file = join(home, 'sentinel.conf');
    const { name } = watched;
    // A Sentinel stores its state in this file.
    writeFileSync(
      file,
      [
        `bind ${HOST}`,
        `port ${port}`,
        `dir ${home}`,
        `sentinel monitor ${name} ${HOST} ${watched.port} ${watched.quorum}`,
        `sentinel down-after-milliseconds ${name} ${DOWN_MS}`,
        `sentinel failover-timeout ${name} ${3 * DOWN_MS}`,
        '',
      ].join('\n'),
    );
    return [file, '--sentinel'];
  });
}

async function startOn(
  [program, ...before]: Command,
  home: string,
  port: number,
  argumentsIn: (home: string) => string[],
): Promise<RedisProcess> {
  mkdirSync(home, { recursive: true });
  const start = (): Supervised =>
    supervise({
      command: program,
      arguments: [...before, ...argumentsIn(home)],
      workingDirectory: home,
      stdout: 'ignore',
      stderr: 'ignore',
    });
  let child = start();
  const ask = (...words: string[]): Promise<unknown> => askOnce(port, words);
  const ready = async (): Promise<void> => {
    const untilMs = performance.now() + START_MS;
    while (
      !(await ask('PING').then(
        () => true,
        () => false,
      ))
    ) {
      if (performance.now() > untilMs) {
        await child.stop(0);
        throw new Error(`redis-server was not ready within ${START_MS / 1_000} s`);
      }
      await sleep(POLL_MS);
    }
  };
  await ready();
  return {
    host: HOST,
    port,
    get pid() {
      return child.pid;
    },
    signal: (name) => child.signal(name),
    stop: async () => void (await child.stop(STOP_MS)),
    async startAgain() {
      await child.exited;
      child = start();
      await ready();
    },
    ask,
  };
}

async function askOnce(port: number, words: readonly string[]): Promise<unknown> {
  const client = createClient({ socket: { host: HOST, port, reconnectStrategy: false, connectTimeout: DOWN_MS } });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await client.sendCommand([...words]);
  } finally {
    if (client.isOpen) client.destroy();
  }
}
