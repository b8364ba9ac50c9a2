/** Where a server listens. */
export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

/** An event for the operators' log. */
export interface RedisEvent {
  /** `stepped`: the clock of a node was set, so its values are not used for two seconds. */
  readonly kind: 'connected' | 'trouble' | 'stepped';
  readonly what: string;
}

/** The addresses and credentials of the servers. */
export interface ConnectOptions {
  readonly mode: 'single' | 'cluster' | 'sentinel';
  /** The server, some nodes of the Cluster, or the Sentinels. At least one. */
  readonly nodes: readonly RedisNode[];
  /** The name of the master at the Sentinels. */
  readonly sentinelName?: string;
  readonly username?: string;
  readonly password?: string;
  onEvent?(event: RedisEvent): void;
}

export interface RedisOptions extends ConnectOptions {
  /** The prefix of all keys, without braces. */
  readonly keyPrefix: string;
  /** The key that signs the stored values of a SKU; null: no value of the SKU is stored or used. */
  secretOf(sku_id: string): Buffer | null;
  /** The longest wait for a command, in milliseconds. */
  readonly commandMs: number;
  /** The greatest age of a stored reading, in milliseconds. Older ones expire. */
  readonly keepMs: number;
}
