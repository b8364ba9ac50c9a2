import type { Address } from '../connection/connection.ts';
import { Shard } from '../shard.ts';

/** One connection sums up, two read carts that lie on several shards, one inspects the shard. */
const CONNECTIONS = 4;
/** A server that is up accepts a connection much faster than it sums up a shard. */
const CONNECT_MS = 3_000;
const WAITING_MAX = 64;

/** Shards for rare and large reads. They have connections of their own, so that traffic keeps its own. */
export interface ReportShards {
  readonly shards: readonly Shard[];
  close(): void;
}

export interface ReportShardsOptions {
  readonly shards: readonly { readonly name: string; readonly address: Address }[];
  readonly initialShards: number;
  /**
   * The longest wait for one answer: to sum up a large shard takes longer than a request may. Not the bound to connect.
   */
  readonly statementMs: number;
  readonly relaxedAllowed: boolean;
  /** For commands that read servers that are not in use. If absent, only primaries are read. */
  readonly readOnlyAllowed?: boolean;
}

/** Opens connections to all shards. Readers of a shard that cannot be reached fail. */
export function openReportShards({ shards, ...options }: ReportShardsOptions): ReportShards {
  const opened = shards.map(
    ({ name, address }, shard) =>
      new Shard({
        ...options,
        name,
        address,
        shard,
        connectMs: CONNECT_MS,
        connections_max: CONNECTIONS,
        waiting_max: WAITING_MAX,
        onChange: () => undefined,
      }),
  );
  return {
    shards: opened,
    close: () => {
      for (const { pool } of opened) pool.close();
    },
  };
}
