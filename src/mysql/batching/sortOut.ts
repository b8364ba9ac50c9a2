import type { FlowKey } from '../../core/nouns.ts';
import type { Connection } from '../connection.ts';
import { hadNoEffect } from '../failures.ts';
import { findLocked, isAnyLocked } from '../sql/findLocked.ts';
import { WORK_MS } from '../transaction.ts';
import type { Part } from './parts.ts';
import type { Errand } from './queue.ts';

/** Who was in the way of a batch that waited for a lock in vain. */
export interface SortedOut {
  /** SKUs whose stock rows are locked. */
  readonly shelves: readonly string[];
  /** Errands under whose ids somebody is undecided. */
  readonly inTheWay: ReadonlySet<Errand>;
}

/** Finds out which rows of a batch somebody keeps locked, without waiting for any; what cannot be found out is left out. */
export async function sortOut(parts: readonly Part[]): Promise<SortedOut> {
  const found = await Promise.all(parts.map((part) => orElse(sortOutPart(part), { shelves: [], errands: [] })));
  return {
    shelves: found.flatMap(({ shelves }) => shelves),
    inTheWay: new Set(found.flatMap(({ errands }) => errands)),
  };
}

/** @throws whatever is no failure of the shard */
async function orElse<T>(finding: Promise<T>, instead: T): Promise<T> {
  try {
    return await finding;
  } catch (error) {
    if (hadNoEffect(error)) return instead;
    throw error;
  }
}

interface Found {
  readonly shelves: readonly string[];
  readonly errands: readonly Errand[];
}

async function sortOutPart({ shard, errands }: Part): Promise<Found> {
  const untilMs = Math.min(performance.now() + WORK_MS, ...errands.map(({ deadlineMs }) => deadlineMs));
  const lend = <T>(work: (connection: Connection) => Promise<T>): Promise<T> => shard.pool.lend(untilMs, work);
  const shelves = await lend((connection) =>
    findLocked(connection, [...new Set(errands.flatMap((errand) => errand.shelves))], untilMs),
  );
  const lockedOf = async (some: readonly Errand[]): Promise<readonly Errand[]> => {
    const keys = some.flatMap(keysOf);
    if (keys.length === 0 || !(await lend((connection) => isAnyLocked(connection, keys, untilMs)))) return [];
    if (some.length === 1) return some;
    const half = Math.ceil(some.length / 2);
    return [...(await lockedOf(some.slice(0, half))), ...(await lockedOf(some.slice(half)))];
  };
  return { shelves, errands: await orElse(lockedOf(errands), []) };
}

function keysOf({ operation }: Errand): readonly FlowKey[] {
  if ('lines' in operation) return operation.lines;
  return operation.kind === 'return' ? [operation] : [];
}
