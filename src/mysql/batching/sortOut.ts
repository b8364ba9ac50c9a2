import type { FlowKey } from '../../core/nouns.ts';
import type { Connection } from '../connection.ts';
import { hadNoEffect } from '../failures.ts';
import { findLocked, isAnyLocked } from '../sql/findLocked.ts';
import { WORK_MS } from '../transaction.ts';
import type { Part } from './parts.ts';
import type { Errand } from './queue.ts';

/** Locks that other transactions hold on rows of a batch whose lock wait timed out. */
export interface SortedOut {
  /** SKUs whose stock rows are locked. */
  readonly shelves: readonly string[];
  /** Operations under whose ids another transaction is not yet decided. */
  readonly inTheWay: ReadonlySet<Errand>;
}

/** Finds locked rows of a batch without waiting for a lock. Rows that cannot be checked are omitted. */
export async function sortOut(parts: readonly Part[]): Promise<SortedOut> {
  const found = await Promise.all(parts.map((part) => orElse(findConflictsOfPart(part), { shelves: [], batch: [] })));
  return {
    shelves: found.flatMap(({ shelves }) => shelves),
    inTheWay: new Set(found.flatMap(({ batch }) => batch)),
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
  readonly shelves: readonly string[];
  readonly batch: readonly Errand[];
}

async function findConflictsOfPart({ shard, errands: batch }: Part): Promise<LockedInPart> {
  const untilMs = Math.min(performance.now() + WORK_MS, ...batch.map(({ deadlineMs }) => deadlineMs));
  const lend = <T>(work: (connection: Connection) => Promise<T>): Promise<T> => shard.pool.lend(untilMs, work);
  const shelves = await lend((connection) =>
    findLocked(connection, [...new Set(batch.flatMap((queued) => queued.shelves))], untilMs),
  );
  const lockedOf = async (some: readonly Errand[]): Promise<readonly Errand[]> => {
    const keys = some.flatMap(keysOf);
    if (keys.length === 0 || !(await lend((connection) => isAnyLocked(connection, keys, untilMs)))) return [];
    if (some.length === 1) return some;
    const half = Math.ceil(some.length / 2);
    return [...(await lockedOf(some.slice(0, half))), ...(await lockedOf(some.slice(half)))];
  };
  return { shelves, batch: await orElse(lockedOf(batch), []) };
}

function keysOf({ operation }: Errand): readonly FlowKey[] {
  if ('lines' in operation) return operation.lines;
  return operation.kind === 'return' ? [operation] : [];
}
