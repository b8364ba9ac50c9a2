import {
  cancelKey,
  contradict,
  effectsFound,
  effectsOf,
  flowKey,
  groupBy,
  isCart,
  isWrite,
  mayHaveEffect,
  overAtMs,
  siblingKey,
  storedEffects,
} from './effects.ts';
import type { Effect, StoredEffect } from './effects.ts';
import type { DeductionSent, Entry, FinalState, LineKey, ResizeSent, SaleSent, Write } from '../history.ts';

/** A broken promise: the invariant of the design that it breaks, and what happened, in one sentence. */
export interface Violation {
  readonly invariant: string;
  readonly what: string;
}

/** An effect that an answer reported to a client. */
export interface ReportedEffect {
  readonly effect: Effect;
  /** When the client had received the answer. */
  readonly atMs: number;
}

/** The writes sent, the effects reported and the effects stored, by idempotency key. */
export interface RoundBooks {
  readonly history: readonly Entry[];
  readonly writes: readonly Write[];
  readonly sales: readonly SaleSent[];
  readonly resizes: readonly ResizeSent[];
  /** SKUs that lie, or lay, in several rows. */
  readonly split: ReadonlySet<string>;
  readonly sent: ReadonlyMap<string, readonly Write[]>;
  /** An accepted write counts as much as a look-up that found it. */
  readonly reported: ReadonlyMap<string, readonly ReportedEffect[]>;
  readonly stored: ReadonlyMap<string, StoredEffect>;
  readonly final: FinalState;
  /** When the last fault was repaired. */
  readonly repairedMs: number;
  /**
   * Whether gateways refuse early (`STOCKGATE_PRECHECK`). Shards then do not sell new units of an empty row for a
   * while.
   */
  readonly hasTiers: boolean;
}

export function openBooks(
  history: readonly Entry[],
  final: FinalState,
  mendedMs: number,
  hasTiers: boolean,
): RoundBooks {
  const writes = history.filter(isWrite);
  return {
    history,
    writes,
    sales: writes.filter((write) => write.kind === 'sale'),
    resizes: writes.filter((write) => write.kind === 'resize'),
    split: new Set(final.layouts.map(({ sku_id }) => sku_id)),
    sent: groupBy(writes, (write) => effectsOf(write).map(({ key }) => key)),
    reported: groupBy(history.flatMap(reportedBy), ({ effect }) => [effect.key]),
    stored: new Map(storedEffects(final).map((effect) => [effect.key, effect])),
    final,
    repairedMs: mendedMs,
    hasTiers,
  };
}

export function violation(invariant: string, what: string): Violation {
  return { invariant, what };
}

/** The effects under a key that answers had reported before a moment. */
export function reportedBefore({ reported }: RoundBooks, key: string, ms: number): ReportedEffect[] {
  return (reported.get(key) ?? []).filter(({ atMs }) => atMs < ms);
}

/** Whether an answer had reported an effect before a moment. */
export function isReported(books: RoundBooks, { key, content }: Effect, beforeMs: number): boolean {
  return reportedBefore(books, key, beforeMs).some(({ effect }) => effect.content === content);
}

/** Whether an answer had reported, before a moment, an effect that contradicts this one. */
export function isContradicted(books: RoundBooks, effect: Effect, beforeMs: number): boolean {
  return keysAround(effect).some((key) =>
    reportedBefore(books, key, beforeMs).some((known) => contradict(effect, known.effect)),
  );
}

/** Whether an effect that contradicts this one is stored in the end, and may have been stored before a moment. */
export function mayBeContradicted(books: RoundBooks, effect: Effect, beforeMs: number): boolean {
  return keysAround(effect).some((key) => {
    const status = books.stored.get(key);
    return status !== undefined && contradict(effect, status) && mayHaveCaused(books, status, beforeMs).length > 0;
  });
}

/** The attempts that may have caused an effect before a moment. */
export function mayHaveCaused({ sent }: RoundBooks, { key, content }: Effect, ms: number): Write[] {
  return (sent.get(key) ?? []).filter(
    (write) => mayHaveEffect(write) && write.invokedMs < ms && hasEffect(write, key, content),
  );
}

/**
 * Whether an effect is stored that an answer denies, though each sending that can have caused it was over when the
 * request of the answer began.
 */
export function isDenied(key: string, { invokedMs }: Entry, { sent, stored }: RoundBooks): boolean {
  return stored.has(key) && (sent.get(key) ?? []).filter(mayHaveEffect).every((write) => overAtMs(write) < invokedMs);
}

/**
 * The attempts under a key and how they ended, for a message. Times count from the start of the call that it is about.
 */
export function sendingsOf(key: string, { invokedMs: sinceMs }: Entry, { sent }: RoundBooks): string {
  const times = (write: Write): string =>
    [write.invokedMs, write.endedMs].map((ms) => Math.round(ms - sinceMs)).join(' to ');
  return (sent.get(key) ?? [])
    .map((write) => `${write.verdict}${write.code === null ? '' : ` (${write.code})`} ${times(write)} ms`)
    .join(', ');
}

/** Whether a line may have been cancelled before a moment. A cancellation is final, so it is still stored. */
export function mayBeCancelled(books: RoundBooks, line: LineKey, beforeMs: number): boolean {
  const status = books.stored.get(cancelKey(line));
  return status !== undefined && mayHaveCaused(books, status, beforeMs).length > 0;
}

/** The carts with a line that were sent before a moment. */
export function cartsOf({ sent, split }: RoundBooks, line: LineKey, beforeMs: number): DeductionSent[] {
  return (sent.get(flowKey(line)) ?? []).filter(
    (write): write is DeductionSent =>
      write.kind === 'deduction' && isCart(write.lines, split) && write.invokedMs < beforeMs,
  );
}

/** Whether a write was sent for an effect with this key and content. */
export function hasEffect(write: Write, key: string, content: string): boolean {
  return effectsOf(write).some((effect) => effect.key === key && effect.content === content);
}

function keysAround({ key }: Effect): string[] {
  const sibling = siblingKey(key);
  return sibling === null ? [key] : [key, sibling];
}

function reportedBy(entry: Entry): ReportedEffect[] {
  if (entry.kind !== 'lookup' && (entry.kind === 'read' || entry.verdict !== 'done')) return [];
  const effects = entry.kind === 'lookup' ? effectsFound(entry) : effectsOf(entry);
  return effects.map((effect) => ({ effect, atMs: entry.endedMs }));
}
