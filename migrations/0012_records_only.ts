/**
 * The oldest gateway level (`src/mysql/migrations/schemaLevel.ts`) that can still work with the schema after this
 * migration. Older gateways would undo the holds of a transaction, although its order is sold: they look for its record
 * in the table of carts.
 */
export const oldestGateway = 11;

/** It shuts out the gateways of the version before, so it is applied only when none of them runs any more. */
export const shutsOutVersionBefore = true;

/**
 * Changes no table. The level of the schema shows that older gateways were shut out and had time to stop. From then on
 * orders over several servers are transactions with a record.
 */
export async function up(): Promise<void> {
  // The migrator stores the level.
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only');
}
