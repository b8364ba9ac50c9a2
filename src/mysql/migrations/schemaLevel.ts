/**
 * The number of the migration this gateway was written for. It serves a shard whose schema is at this level or later,
 * as long as the later migrations state that they still serve this level. Raise it when a query needs a new migration.
 */
export const GATEWAY_LEVEL = 11;

/**
 * The migration that shuts out gateways of before the records of orders. It is not needed to serve a shard: without it,
 * orders over several servers use the older protocol.
 */
export const RECORDS_ONLY_LEVEL = 12;

/**
 * The migration with the table of the continuous reconciliation. It is not needed to serve a shard: without it, the
 * shard is reconciled only on demand.
 */
export const RECONCILIATION_LEVEL = 13;
