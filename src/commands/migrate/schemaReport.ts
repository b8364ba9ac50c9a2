import type { SchemaStatus } from '../../core/ports/shardMigrator.ts';
import { levelOf } from '../../mysql/migrations/migrationFiles.ts';
import { GATEWAY_LEVEL } from '../../mysql/migrations/schemaLevel.ts';
import type { MigrationResult } from '../../service/migrateShards.ts';

/** Applies the migrations that wait. */
export const SHUT_OUT_COMMAND = 'npm run migrate -- up --shut-out-older';

/**
 * Whether gateways refuse the shard until it is migrated. A migration that waits is not needed to serve it, unless
 * the gateways were written for it or for a later one.
 *
 * @param gatewayLevel the level of these gateways
 */
export function isBehind({ pending, waiting, slot_count }: SchemaStatus, gatewayLevel = GATEWAY_LEVEL): boolean {
  return pending.length > 0 || slot_count === null || waiting.some(({ name }) => levelOf(name) <= gatewayLevel);
}

/** The outcome of one shard in a few words, for its row of the table. */
export function outcomeText({ fault, appliedNow, status }: MigrationResult): string {
  if (fault !== null || status === null) return fault ?? 'behind';
  if (status.foreign.length > 0) return `newer than this checkout: ${status.foreign.join(', ')}`;
  const done = appliedNow.length > 0 ? `applied ${appliedNow.join(', ')}` : isBehind(status) ? 'behind' : 'up to date';
  return status.waiting.length === 0 ? done : `${done}; waiting: ${status.waiting.map(({ name }) => name).join(', ')}`;
}

/** Which migrations wait, which gateways they shut out, and the command that applies them; null: none waits. */
export function waitingText(results: readonly MigrationResult[]): string | null {
  const waiting = results.flatMap(({ status }) => status?.waiting ?? []);
  if (waiting.length === 0) return null;
  const names = [...new Set(waiting.map(({ name }) => name))].sort();
  const oldest = Math.max(...waiting.map(({ oldestGateway }) => oldestGateway));
  const shards = results.filter(({ status }) => status !== null && status.waiting.length > 0).length;
  return (
    `${names.join(', ')} ${names.length === 1 ? 'waits' : 'wait'} on ${shards} of ${results.length} shards, ` +
    `and will shut out gateways below level ${oldest}. When none of these runs any more (this version has level ` +
    `${GATEWAY_LEVEL}), run \`${SHUT_OUT_COMMAND}\``
  );
}
