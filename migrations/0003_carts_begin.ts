/**
 * The oldest gateway level (`src/mysql/schemaLevel.ts`) that can still work with the shard after this migration.
 *
 * From here on flows are `pending`, `void` and cancelled. A gateway of the first level takes the first two, with the same ids
 * and quantity, for deductions that it may call done; it sells what is paused, and restocks into the room that is kept for
 * held units. So no gateway that writes these may serve a shard beside one that does not know them.
 */
export const oldestGateway = 3;

/** Nothing but the line between them: the tables are there. */
export async function up(): Promise<void> {
  return Promise.resolve();
}

export async function down(): Promise<void> {
  throw new Error('migrations go forward only');
}
