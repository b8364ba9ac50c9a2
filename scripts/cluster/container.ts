/** A database server in a container of its own. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ContainerRuntimeClient, GenericContainer, StartedTestContainer } from 'testcontainers';
import { queryOnce } from './queryOnce.ts';
import { ownLabels } from './image.ts';
import type { ContainerImage } from './image.ts';
import { makeOnce } from './ownership.ts';
import { freePort } from './port.ts';
import { lastLines } from './run.ts';
import type { ManagedServer } from './server.ts';
import { ACCOUNT, containerArguments } from './settings.ts';
import type { DataOrigin } from './install/template.ts';
import { errorText } from '../../src/core/text/errorText.ts';

const HOST = '127.0.0.1';
const PORT = 3306;
const DATA = '/var/lib/mysql';
/** The first start also makes the data, on a machine that may do so for several servers at once. */
const START_LIMIT_MS = 180_000;
const ANSWER_LIMIT_MS = 3_000;
const POLL_MS = 100;
const SHUTDOWN_GRACE_SECONDS = 30;
const PORT_ATTEMPTS = 3;
const LOG_LINES = 20;
const NEVER_STARTED = 'the server was never started';

/** The image runs these on the first start. Connections may come from any address of the engine's network. */
const ACCOUNT_STATEMENTS = [
  `CREATE USER '${ACCOUNT.user}'@'%' IDENTIFIED BY '${ACCOUNT.password}';\n`,
  `GRANT ALL PRIVILEGES ON *.* TO '${ACCOUNT.user}'@'%' WITH GRANT OPTION;\n`,
].join('');

type Container = ReturnType<ContainerRuntimeClient['container']['getById']>;

export interface ManagedContainerOptions {
  image: ContainerImage;
  serverId: number;
  bufferPoolMegabytes: number;
  extraArguments: readonly string[];
  /** A folder that records the volume of the data; undefined: the data are deleted with the container. */
  home: string | undefined;
}

/** A server that is not running yet. Its container and its port stay the same from its first start to its kill. */
export function manageContainer(options: ManagedContainerOptions): ManagedServer {
  const server = new ContainerServer(options);
  return {
    host: server.host,
    get port() {
      return server.port;
    },
    ...ACCOUNT,
    get pid() {
      return server.pid;
    },
    start: () => server.start(),
    signal: (name) => server.signal(name),
    stop: () => server.stop(),
    kill: () => server.kill(),
  };
}

class ContainerServer {
  readonly host: string;
  readonly #options: ManagedContainerOptions;
  readonly #log: string[] = [];
  #port: number | undefined;
  #id: string | undefined;
  #pid: number | undefined;
  /** While it runs: fulfilled when it has ended. */
  #running: Promise<void> | undefined;
  /** Whether the running server was asked to end. */
  #isEnding = false;
  /** Signals that the engine sends, in their order. */
  #sending: Promise<unknown> = Promise.resolve();

  constructor(options: ManagedContainerOptions) {
    const engineHost = options.image.engine.info.containerRuntime.host;
    this.host = isLocal(engineHost) ? HOST : engineHost;
    this.#options = options;
  }

  get port(): number {
    if (this.#port === undefined) throw new Error(NEVER_STARTED);
    return this.#port;
  }

  get pid(): number | undefined {
    return this.#pid;
  }

  async start(): Promise<void> {
    if (this.#running !== undefined) {
      if (!this.#isEnding) throw new Error(`the server on port ${this.#port} is running already`);
      await this.#running;
    }
    if (this.#id !== undefined) await this.#container().start();
    for (let attempt = 1; this.#id === undefined; attempt += 1) {
      try {
        await this.#create(await freePort());
      } catch (error) {
        const reason = errorText(error);
        const isTaken = /port is already allocated|address already in use/i.test(reason);
        if (!isTaken || attempt === PORT_ATTEMPTS)
          throw new Error(`${reason}; the end of its log:\n${this.#endOfLog()}`, { cause: error });
      }
    }
    await this.#untilReady();
  }

  signal(name: NodeJS.Signals): void {
    if (this.#running === undefined) return;
    this.#isEnding ||= name === 'SIGKILL' || name === 'SIGTERM';
    if (isSent(this.#pid, name)) return;
    this.#sending = this.#sending.then(() => this.#container().kill({ signal: name })).catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#isEnding = true;
    if (this.#id === undefined) return;
    await this.#sending;
    // A frozen server would not handle SIGTERM.
    await this.#container()
      .kill({ signal: 'SIGCONT' })
      .catch(() => undefined);
    await this.#container()
      .stop({ t: SHUTDOWN_GRACE_SECONDS })
      .catch(() => undefined);
    await this.#running;
  }

  async kill(): Promise<void> {
    this.#isEnding = true;
    if (this.#id === undefined) return;
    await this.#container().remove({ force: true, v: true });
    await this.#running;
  }

  #container(): Container {
    if (this.#id === undefined) throw new Error(NEVER_STARTED);
    return this.#options.image.engine.container.getById(this.#id);
  }

  async #create(port: number): Promise<void> {
    const made = await describe(this.#options, port, this.host);
    made.withLogConsumer((stream) => stream.on('data', (line: Buffer) => this.#log.push(line.toString())));
    const started: StartedTestContainer = await made.start();
    this.#id = started.getId();
    this.#port = port;
  }

  /** @throws when the server does not answer in time, or ends */
  async #untilReady(): Promise<void> {
    const login = { host: this.host, port: this.#port ?? 0, ...ACCOUNT };
    const deadline = Date.now() + START_LIMIT_MS;
    const exited = this.#container()
      .wait()
      .then(
        () => undefined,
        () => undefined,
      );
    const own = exited.then(() => {
      if (this.#running === own) [this.#running, this.#pid] = [undefined, undefined];
    });
    [this.#running, this.#isEnding] = [own, false];
    this.#pid = localPid(await this.#container().inspect());
    while (this.#running === own && Date.now() < deadline) {
      if (
        await queryOnce(login, 'SELECT 1', ANSWER_LIMIT_MS).then(
          () => true,
          () => false,
        )
      )
        return;
      await Promise.race([sleep(POLL_MS), own]);
    }
    const { name } = this.#options.image;
    throw new Error(`the server in a container of ${name} does not answer; the end of its log:\n${this.#endOfLog()}`);
  }

  #endOfLog(): string {
    return lastLines(this.#log.join(''), LOG_LINES);
  }
}

/** The container: its server has the same settings as one of our own, and is reached through a port of this machine. */
async function describe(
  { image, home, ...settings }: ManagedContainerOptions,
  port: number,
  host: string,
): Promise<GenericContainer> {
  const { GenericContainer: Generic, Wait } = await import('testcontainers');
  class Reachable extends Generic {
    protected override async beforeContainerCreated(): Promise<void> {
      // Only for this machine: the password of the account is no secret.
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
    // A first server only makes the data, and logs no port.
    .withWaitStrategy(Wait.forLogMessage(/port: 3306\b/).withStartupTimeout(START_LIMIT_MS));
  return home === undefined ? made : made.withBindMounts([{ source: await volumeOf(image, home), target: DATA }]);
}

async function volumeOf({ kind, version }: ContainerImage, home: string): Promise<string> {
  const { volume } = await makeOnce<DataOrigin>(home, async () => ({
    kind,
    version,
    volume: `stockgate-${randomUUID()}`,
  }));
  if (volume === undefined) throw new Error(`the data of ${home} were not made by a container: delete it`);
  return volume;
}

/** Sends a signal without the engine, if this process may: that is immediate. */
function isSent(pid: number | undefined, name: NodeJS.Signals): boolean {
  try {
    return pid !== undefined && process.kill(pid, name);
  } catch {
    return false;
  }
}

function isLocal(host: string): boolean {
  return host === 'localhost' || host === HOST;
}

/** The process of the server; undefined where the engine runs containers in a virtual machine. */
function localPid({ Id: id, State: { Pid: pid } }: { Id: string; State: { Pid: number } }): number | undefined {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(id) ? pid : undefined;
  } catch {
    return undefined;
  }
}
