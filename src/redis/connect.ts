import { createClient, createCluster, createSentinel } from '@redis/client';
import { backOffMs } from './backOff.ts';
import type { ConnectOptions } from './options.ts';

/** Connections to one server, to a Cluster, or to the master behind Sentinels. */
export interface Link {
  readonly isReady: boolean;
  /**
   * Resolves when there is a connection, which may never be.
   *
   * @throws when the client gives up; the link is of no use then
   */
  open(): Promise<void>;
  /** Sends a command to the node that owns the key, never to a replica. */
  send(key: string, command: string[]): Promise<unknown>;
  close(): Promise<void>;
}

const CONNECT_MS = 1_000;
/** A connection on which nothing was received for this time is closed. Pings are more frequent. */
const SILENT_MS = 2_000;
const PING_MS = 500;
/** How often Sentinels are asked for the master, besides their own notifications. */
const SCAN_MS = 2_000;
/** How many times a command looks for a new master before it fails. */
const REDISCOVERIES_MAX = 2;

/** @param onError receives every failure of a connection; the client reconnects by itself */
export function connectTo(options: ConnectOptions, onError: (error: Error) => void): Link {
  const { mode } = options;
  return mode === 'single'
    ? toServer(options, onError)
    : mode === 'cluster'
      ? toCluster(options, onError)
      : toMaster(options, onError);
}

const SOCKET = { connectTimeout: CONNECT_MS, socketTimeout: SILENT_MS, reconnectStrategy: backOffMs };

/** The settings of all connections. Without an offline queue a command fails at once when there is no connection. */
function common({ username, password }: Pick<ConnectOptions, 'username' | 'password'>) {
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
    pingInterval: PING_MS,
    socket: SOCKET,
  } as const;
}

function toServer(options: ConnectOptions, onError: (error: Error) => void): Link {
  const [node] = options.nodes;
  const client = createClient({ ...common(options), socket: { ...SOCKET, ...node } });
  client.on('error', onError);
  return {
    get isReady() {
      return client.isReady;
    },
    open: async () => void (await client.connect()),
    send: (_key, command) => client.sendCommand(command),
    close: async () => {
      if (client.isOpen) client.destroy();
    },
  };
}

function toCluster(options: ConnectOptions, onError: (error: Error) => void): Link {
  // Connects to a node only when it is needed. If the client waited for all nodes, one dead node would block the
  // discovery of the others.
  const cluster = createCluster({
    rootNodes: options.nodes.map((socket) => ({ socket })),
    defaults: common(options),
    minimizeConnections: true,
  });
  cluster.on('error', onError);
  cluster.on('node-error', onError);
  return {
    get isReady() {
      return cluster.isReady;
    },
    open: async () => void (await cluster.connect()),
    send: (key, command) => cluster.sendCommand(key, false, command),
    close: async () => cluster.destroy(),
  };
}

/** The credentials are for the servers. Sentinels are asked without any. */
function toMaster(options: ConnectOptions, onError: (error: Error) => void): Link {
  const sentinel = createSentinel({
    name: options.sentinelName ?? '',
    sentinelRootNodes: options.nodes.map(({ host, port }) => ({ host, port })),
    nodeClientOptions: common(options),
    sentinelClientOptions: common({}),
    scanInterval: SCAN_MS,
    maxCommandRediscovers: REDISCOVERIES_MAX,
    passthroughClientErrorEvents: true,
  });
  sentinel.on('error', onError);
  return {
    get isReady() {
      return sentinel.isReady;
    },
    open: async () => void (await sentinel.connect()),
    send: (_key, command) => sentinel.sendCommand(false, command),
    close: () => sentinel.destroy(),
  };
}
