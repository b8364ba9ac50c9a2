/**
 * The oldest gateway level (`src/mysql/schemaLevel.ts`) that can still work with the shard after this migration.
 *
 * From here on SKUs are split. A gateway that does not know it would sell from one row of many without asking in which layout
 * it is, and take a pointer to a flow for a flow.
 */
export const oldestGateway = 6;

/** Nothing but the line between them: the tables are there. */
export async function up(): Promise<void> {
  return Promise.resolve();
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only');
}
