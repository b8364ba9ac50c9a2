/**
 * The number of the migration this gateway was written for. It serves a shard whose schema is at this level or later,
 * as long as the later migrations state that they still serve this level. Raise it when a query needs a new migration.
 */
export const GATEWAY_LEVEL = 10;
