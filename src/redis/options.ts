/** Where a server listens. */
export interface RedisNode {
  readonly host: string;
  readonly port: number;
}

/** Something that operators may want to hear of. */
export interface RedisEvent {
  /** `stepped`: the clock of a node was set, so that node is not believed for a while. */
  readonly kind: 'connected' | 'trouble' | 'stepped';
  readonly what: string;
}

/** How to get at the servers. */
export interface ConnectOptions {
  readonly mode: 'single' | 'cluster' | 'sentinel';
  /** The server; some of the Cluster; or the Sentinels. At least one. */
  readonly nodes: readonly RedisNode[];
  /** What the Sentinels call the master. */
  readonly sentinelName?: string;
  readonly username?: string;
  readonly password?: string;
  onEvent?(event: RedisEvent): void;
}

export interface RedisOptions extends ConnectOptions {
  /** What all keys begin with; no braces. */
  readonly keyPrefix: string;
  /** The key that signs what is stored of a SKU; null: none is stored, nor believed. */
  secretOf(sku_id: string): Buffer | null;
  /** No command is waited for longer, in milliseconds. */
  readonly commandMs: number;
  /** For so long after a SKU was so it is remembered, in milliseconds. */
  readonly keepMs: number;
}
