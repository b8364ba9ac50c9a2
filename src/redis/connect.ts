import { createClient, createCluster, createSentinel } from '@redis/client';
import { backOffMs } from './backOff.ts';
import type { ConnectOptions } from './options.ts';

/** Connections to one server, a Cluster, or what Sentinels watch. */
export interface Link {
  readonly isReady: boolean;
  /** Fulfilled when there is a connection. May take for ever. @throws when the client gives up; the link is of no use then */
  open(): Promise<void>;
  /** Sends a command to the node that has the key for good. Never to a replica. */
  send(key: string, command: string[]): Promise<unknown>;
  close(): Promise<void>;
}

const CONNECT_MS = 1_000;
/** A connection on which nothing came for so long is given up; there is a ping more often. */
const SILENT_MS = 2_000;
const PING_MS = 500;
/** How often Sentinels are asked who is the master, besides their telling it. */
const SCAN_MS = 2_000;
/** How often a command looks for a new master before it fails. */
const REDISCOVERIES = 2;

/** @param onError hears of every failure of a connection; the client goes on by itself */
export function connectTo(options: ConnectOptions, onError: (error: Error) => void): Link {
  const { mode } = options;
  return mode === 'single'
    ? toServer(options, onError)
    : mode === 'cluster'
      ? toCluster(options, onError)
      : toMaster(options, onError);
}

const SOCKET = { connectTimeout: CONNECT_MS, socketTimeout: SILENT_MS, reconnectStrategy: backOffMs };

/** What all connections have in common. Without an offline queue a command fails at once where there is no connection. */
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
  // Nodes are connected to when they are needed: to wait for all would let one that is dead keep the others from being found.
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

/** Credentials are those of the servers; Sentinels are asked without. */
function toMaster(options: ConnectOptions, onError: (error: Error) => void): Link {
  const sentinel = createSentinel({
    name: options.sentinelName ?? '',
    sentinelRootNodes: options.nodes.map(({ host, port }) => ({ host, port })),
    nodeClientOptions: common(options),
    sentinelClientOptions: common({}),
    scanInterval: SCAN_MS,
    maxCommandRediscovers: REDISCOVERIES,
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
