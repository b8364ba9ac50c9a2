import type { Address } from './connection.ts';
import { Shard } from './shard.ts';

/** One adds up, others read for carts that lie on several shards, one looks after the shard. */
const CONNECTIONS = 4;
/** A server that is there answers a newcomer sooner than it adds up. */
const CONNECT_MS = 3_000;
const WAITING_MAX = 64;

/** Shards for who reads a lot and seldom: with connections of their own, so that traffic keeps its own. */
export interface BookShards {
  readonly shards: readonly Shard[];
  close(): void;
}

export interface BookShardsOptions {
  readonly shards: readonly { readonly name: string; readonly address: Address }[];
  readonly initialShards: number;
  /** The longest wait for one answer: adding up a large shard takes longer than a request may. Connecting has a bound of its own. */
  readonly statementMs: number;
  readonly relaxedAllowed: boolean;
  /** For commands that read servers at rest. Absent: only primaries are read. */
  readonly readOnlyAllowed?: boolean;
}

/** Opens connections to all shards; a shard that cannot be had fails its readers. */
export function openBookShards({ shards, ...options }: BookShardsOptions): BookShards {
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
