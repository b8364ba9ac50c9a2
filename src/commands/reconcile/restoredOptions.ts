/** The flags of `npm run reconcile -- --restored`. */
export interface RestoredOptions {
  /** The file that lists the shards. */
  readonly shards: string;
  /** The longest that the whole command may take, in seconds. */
  readonly timeout: number;
  /** Names of shards; absent: the shards that went back. */
  readonly shard?: readonly string[];
  readonly orders?: string;
  /** A file that lists the shards where their reference copies can be read. */
  readonly against?: string;
  /** The moment of the backup. */
  readonly since?: Date;
  /** Close the named shards, and do nothing else. */
  readonly close: boolean;
  readonly putBack: boolean;
  readonly accept: boolean;
  readonly list?: string;
}
