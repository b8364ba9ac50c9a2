/** A database server in a container of its own. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GenericContainer, StartedTestContainer } from 'testcontainers';
import { ask } from './ask.ts';
import { ownLabels } from './image.ts';
import type { ContainerImage } from './image.ts';
import { makeOnce } from './ownership.ts';
import { freePort } from './port.ts';
import { lastLines } from './run.ts';
import type { ManagedServer } from './server.ts';
import { ACCOUNT, containerArguments } from './settings.ts';
import type { MadeBy } from './template.ts';

const HOST = '127.0.0.1';
const PORT = 3306;
const DATA = '/var/lib/mysql';
/** The first start makes the data too, on a machine that does the same for several. */
const START_LIMIT_MS = 180_000;
const ANSWER_LIMIT_MS = 3_000;
const POLL_MS = 100;
const SHUTDOWN_GRACE_SECONDS = 30;
const PORT_ATTEMPTS = 3;
const LOG_LINES = 20;

/** Read by the image on the first start. Connections come from the engine's network, whatever that is. */
const ACCOUNT_STATEMENTS = [
  `CREATE USER '${ACCOUNT.user}'@'%' IDENTIFIED BY '${ACCOUNT.password}';\n`,
  `GRANT ALL PRIVILEGES ON *.* TO '${ACCOUNT.user}'@'%' WITH GRANT OPTION;\n`,
].join('');

export interface ManagedContainerOptions {
  image: ContainerImage;
  serverId: number;
  bufferPoolMegabytes: number;
  extraArguments: readonly string[];
  /** A folder that says in which volume the data are kept; undefined: they go with the container. */
  home: string | undefined;
}

/** A server that is not running yet. Its container and its port stay the same from its first start to its kill. */
export function manageContainer(options: ManagedContainerOptions): ManagedServer {
  const { engine } = options.image;
  const host = isNear(engine.info.containerRuntime.host) ? HOST : engine.info.containerRuntime.host;
  const log: string[] = [];
  let port: number | undefined;
  let id: string | undefined;
  let pid: number | undefined;
  /** While it runs: fulfilled when it does no more. */
  let running: Promise<void> | undefined;
  let told = false;
  /** Signals for the engine to send, in their order. */
  let sending: Promise<unknown> = Promise.resolve();

  const container = (): ReturnType<typeof engine.container.getById> => {
    if (id === undefined) throw new Error('the server was never started');
    return engine.container.getById(id);
  };
  const create = async (chosen: number): Promise<void> => {
    const made = await describe(options, chosen, host);
    made.withLogConsumer((stream) => stream.on('data', (line: Buffer) => log.push(line.toString())));
    const started: StartedTestContainer = await made.start();
    id = started.getId();
    port = chosen;
  };
  const untilReady = async (): Promise<void> => {
    const login = { host, port: port ?? 0, ...ACCOUNT };
    const deadline = Date.now() + START_LIMIT_MS;
    const exited = container()
      .wait()
      .then(
        () => undefined,
        () => undefined,
      );
    const own = exited.then(() => {
      if (running === own) [running, pid] = [undefined, undefined];
    });
    [running, told] = [own, false];
    pid = nearPid(await container().inspect());
    while (running === own && Date.now() < deadline) {
      if (
        await ask(login, 'SELECT 1', ANSWER_LIMIT_MS).then(
          () => true,
          () => false,
        )
      )
        return;
      await Promise.race([sleep(POLL_MS), own]);
    }
    throw new Error(
      `the server in a container of ${options.image.name} does not answer; the end of its log:\n${lastLines(log.join(''), LOG_LINES)}`,
    );
  };

  return {
    host,
    get port() {
      if (port === undefined) throw new Error('the server was never started');
      return port;
    },
    ...ACCOUNT,
    get pid() {
      return pid;
    },
    async start() {
      if (running !== undefined) {
        if (!told) throw new Error(`the server on port ${port} is running already`);
        await running;
      }
      if (id !== undefined) await container().start();
      for (let attempt = 1; id === undefined; attempt += 1) {
        try {
          await create(await freePort());
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          const isTaken = /port is already allocated|address already in use/i.test(reason);
          if (!isTaken || attempt === PORT_ATTEMPTS)
            throw new Error(`${reason}; the end of its log:\n${lastLines(log.join(''), LOG_LINES)}`, { cause: error });
        }
      }
      await untilReady();
    },
    signal(name) {
      if (running === undefined) return;
      told ||= name === 'SIGKILL' || name === 'SIGTERM';
      if (!isSent(pid, name)) sending = sending.then(() => container().kill({ signal: name })).catch(() => undefined);
    },
    async stop() {
      told = true;
      if (id === undefined) return;
      await sending;
      // One that was frozen would not hear of the end.
      await container()
        .kill({ signal: 'SIGCONT' })
        .catch(() => undefined);
      await container()
        .stop({ t: SHUTDOWN_GRACE_SECONDS })
        .catch(() => undefined);
      await running;
    },
    async kill() {
      told = true;
      if (id === undefined) return;
      await container().remove({ force: true, v: true });
      await running;
    },
  };
}

/** What the image is asked for: the same as of a server of our own, reached through a port of this machine. */
async function describe(
  { image, home, ...settings }: ManagedContainerOptions,
  port: number,
  host: string,
): Promise<GenericContainer> {
  const { GenericContainer: Generic, Wait } = await import('testcontainers');
  class Reachable extends Generic {
    protected override async beforeContainerCreated(): Promise<void> {
      // Nobody else's: the account's password is no secret.
      if (host === HOST) this.hostConfig.PortBindings = { [`${PORT}/tcp`]: [{ HostIp: HOST, HostPort: `${port}` }] };
    }
  }
  const made = new Reachable(image.name)
    .withExposedPorts({ container: PORT, host: port })
    .withEnvironment({ MYSQL_RANDOM_ROOT_PASSWORD: 'yes' })
    .withCopyContentToContainer([
      { content: ACCOUNT_STATEMENTS, target: '/docker-entrypoint-initdb.d/account.sql', mode: 0o644 },
    ])
    .withCommand([...containerArguments(image.kind, settings), ...settings.extraArguments])
    .withLabels(ownLabels())
    // The server that only makes the data has no port.
    .withWaitStrategy(Wait.forLogMessage(/port: 3306\b/).withStartupTimeout(START_LIMIT_MS));
  return home === undefined ? made : made.withBindMounts([{ source: await volumeOf(image, home), target: DATA }]);
}

async function volumeOf({ kind, version }: ContainerImage, home: string): Promise<string> {
  const { volume } = await makeOnce<MadeBy>(home, async () => ({ kind, version, volume: `stockgate-${randomUUID()}` }));
  if (volume === undefined) throw new Error(`the data of ${home} are not those of a container: delete it`);
  return volume;
}

/** Whoever may do so himself need not ask the engine, and has it at once. */
function isSent(pid: number | undefined, name: NodeJS.Signals): boolean {
  try {
    return pid !== undefined && process.kill(pid, name);
  } catch {
    return false;
  }
}

function isNear(host: string): boolean {
  return host === 'localhost' || host === HOST;
}

/** The server's process, where the engine runs its containers on this machine and not in a virtual one. */
function nearPid({ Id: id, State: { Pid: pid } }: { Id: string; State: { Pid: number } }): number | undefined {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(id) ? pid : undefined;
  } catch {
    return undefined;
  }
}
