import { stockRowKeysOf } from '../../core/operation.ts';
import type { FlowKey } from '../../core/types.ts';
import type { Connection } from '../connection/connection.ts';
import { hadNoEffect } from '../connection/failures.ts';
import { findLocked, isAnyLocked } from '../sql/flows/findLocked.ts';
import { WORK_MS } from '../connection/transaction.ts';
import type { ShardOperations } from './shardOperations.ts';
import type { QueuedOperation } from './batchQueue.ts';

/** Locks that other transactions hold on rows of a batch whose lock wait timed out. */
export interface LockConflicts {
  /** SKUs whose stock rows are locked. */
  readonly stockRows: readonly string[];
  /** Operations under whose ids another transaction is not yet decided. */
  readonly withLockedIds: ReadonlySet<QueuedOperation>;
}

/** Finds locked rows of a batch without waiting for a lock. Rows that cannot be checked are omitted. */
export async function findLockConflicts(parts: readonly ShardOperations[]): Promise<LockConflicts> {
  const found = await Promise.all(parts.map((part) => orElse(findConflictsOfPart(part), { stockRows: [], batch: [] })));
  return {
    stockRows: found.flatMap(({ stockRows }) => stockRows),
    withLockedIds: new Set(found.flatMap(({ batch }) => batch.map(({ queued }) => queued))),
  };
}

/** @throws every error that is not a failure of the shard */
async function orElse<T>(finding: Promise<T>, instead: T): Promise<T> {
  try {
    return await finding;
  } catch (error) {
    if (hadNoEffect(error)) return instead;
    throw error;
  }
}

interface LockedInPart {
  readonly stockRows: readonly string[];
  readonly batch: ShardOperations['batch'];
}

async function findConflictsOfPart({ shard, batch }: ShardOperations): Promise<LockedInPart> {
  const untilMs = Math.min(performance.now() + WORK_MS, ...batch.map(({ queued }) => queued.deadlineMs));
  const lend = <T>(work: (connection: Connection) => Promise<T>): Promise<T> => shard.pool.lend(untilMs, work);
  const stockRows = await lend((connection) =>
    findLocked(connection, [...new Set(batch.flatMap(({ operation }) => stockRowKeysOf(operation)))], untilMs),
  );
  const lockedOf = async (some: ShardOperations['batch']): Promise<ShardOperations['batch']> => {
    const keys = some.flatMap(keysOf);
    if (keys.length === 0 || !(await lend((connection) => isAnyLocked(connection, keys, untilMs)))) return [];
    if (some.length === 1) return some;
    const half = Math.ceil(some.length / 2);
    return [...(await lockedOf(some.slice(0, half))), ...(await lockedOf(some.slice(half)))];
  };
  return { stockRows, batch: await orElse(lockedOf(batch), []) };
}

function keysOf({ operation }: ShardOperations['batch'][number]): readonly FlowKey[] {
  if ('lines' in operation) return operation.lines;
  return operation.kind === 'return' ? [operation] : [];
}
