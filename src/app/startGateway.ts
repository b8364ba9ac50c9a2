import type { Logger } from 'pino';
import type { BackendPorts } from './backendPorts.ts';
import type { Config } from '../config/config.ts';
import type { RunningServer } from '../http/server.ts';
import { createListeners } from './listeners.ts';
import type { MetricsSnapshot } from '../metrics/addUp.ts';
import { createMysqlBackend } from './mysqlBackend.ts';
import { createRates } from './rates.ts';
import { closeHotKeyWindows } from '../service/hot/closeHotKeyWindows.ts';
import { UnreadableRows } from '../service/tasks/unreadableRows.ts';
import { createTracer } from './traces.ts';
import { createServicePorts } from './servicePorts.ts';
import { noSiblings } from '../workers/siblings.ts';
import type { Siblings } from '../workers/siblings.ts';
import { pause } from '../core/async/pause.ts';

/** The least time for background tasks when a drain has used up its own. */
const FINISH_MS_MIN = 500;

/** How often the request rates of SKUs are computed. */
const HEAT_WINDOW_MS = 1_000;

/** A gateway that listens. */
export interface Gateway {
  readonly publicUrl: string;
  readonly adminUrl: string;
  /** The metrics of this process. */
  metricsSnapshot(): Promise<MetricsSnapshot>;
  /**
   * Withdraws readiness, finishes the requests in flight and closes the connections to the shards. Can be called again.
   */
  drain(): Promise<void>;
}

/**
 * Composes a gateway and starts it. It starts even if shards cannot be reached; those are tried again for as long as it
 * runs.
 *
 * @param decorate wraps the ports; tests put their fail-points here
 * @param siblings the other processes behind the same listeners
 * @throws when the address of a listener cannot be used
 */
export async function startGateway(
  config: Config,
  log: Logger,
  decorate: (ports: BackendPorts) => BackendPorts = (ports) => ports,
  siblings: Siblings = noSiblings(),
): Promise<Gateway> {
  const onFault = (error: unknown): void => log.error({ err: error }, 'fault');
  const unreadable = new UnreadableRows(({ shard, ...row }) =>
    log.error({ shard: config.shards[shard]?.name ?? '', ...row }, 'unreadable row left alone'),
  );
  const backend = createMysqlBackend({ config, log, onUnreadable: (row) => unreadable.add(row), onFault });
  const ports = decorate(backend.ports);
  const {
    ports: servicePorts,
    metrics,
    tiers,
    tasks,
  } = createServicePorts({ config, log, backend, ports, unreadable, onFault });
  const rates = createRates(config, log);
  const tracer = await createTracer(config, log);
  let draining: Promise<void> | null = null;
  let started = false;
  const { overview } = backend;
  const listeners = createListeners({
    served: {
      ...{ config, ports: servicePorts, tiers, metrics, siblings, shards: overview, journal: overview },
      isReady: () => started && draining === null,
    },
    ...{ config, log, tracer, limits: rates.limits },
    isDraining: () => draining !== null,
  });
  await backend.tryShards();
  await servicePorts.routing.refresh();
  const stopHeat = closeHotKeyWindows(servicePorts.hotKeys, HEAT_WINDOW_MS);
  const servers: RunningServer[] = [];
  const close = async (waitMs: number): Promise<void> => {
    const untilMs = performance.now() + waitMs;
    await Promise.all(servers.map((server) => server.drain(waitMs)));
    stopHeat();
    await tiers.stop();
    await rates.stop();
    // Work that is not done in time is left to other gateways.
    for (const task of tasks) servicePorts.backgroundTasks.add(() => task.stop());
    await servicePorts.backgroundTasks.finish(Math.max(FINISH_MS_MIN, untilMs - performance.now()));
    backend.close();
    await tracer?.stop();
  };
  try {
    servers.push(await listeners.openPublic());
    servers.push(await listeners.openAdmin());
  } catch (error) {
    await close(0);
    throw error;
  }
  started = true;
  for (const task of tasks) task.start();
  tiers.start();
  const [publicUrl = '', adminUrl = ''] = servers.map(urlOf);
  return {
    publicUrl,
    adminUrl,
    metricsSnapshot: () => metrics.snapshot(),
    drain() {
      draining ??= leave(config).then(() => close(config.drainMs));
      return draining;
    },
  };
}

/** Waits until load balancers have noticed that readiness was withdrawn. */
function leave({ leaveMs }: Config): Promise<void> {
  return pause(leaveMs);
}

function urlOf({ host, port }: { host: string; port: number }): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
