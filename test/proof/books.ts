import {
  contradict,
  effectsFound,
  effectsOf,
  groupBy,
  isWrite,
  mayStand,
  overAtMs,
  siblingKey,
  standingEffects,
} from './effects.ts';
import type { Effect, StandingEffect } from './effects.ts';
import type { Entry, FinalState, ResizeSent, SaleSent, Write } from './history.ts';

/** A broken promise: the invariant of the design that it breaks, and the story in one sentence. */
export interface Violation {
  readonly invariant: string;
  readonly what: string;
}

/** An effect that somebody was told of. */
export interface Known {
  readonly effect: Effect;
  /** When he had been told. */
  readonly atMs: number;
}

/** What was sent, what was told and what stands, by idempotency key. */
export interface Books {
  readonly history: readonly Entry[];
  readonly writes: readonly Write[];
  readonly sales: readonly SaleSent[];
  readonly resizes: readonly ResizeSent[];
  /** What lies, or lay, in several rows. */
  readonly split: ReadonlySet<string>;
  readonly sent: ReadonlyMap<string, readonly Write[]>;
  /** An answer "done" is as good as a look-up that found it. */
  readonly known: ReadonlyMap<string, readonly Known[]>;
  readonly standing: ReadonlyMap<string, StandingEffect>;
  readonly final: FinalState;
  /** When the last fault was mended. */
  readonly mendedMs: number;
  /** Whether gateways refuse early (`STOCKGATE_PRECHECK`), and shards keep new units of an empty row from being sold for a while. */
  readonly hasTiers: boolean;
}

export function openBooks(history: readonly Entry[], final: FinalState, mendedMs: number, hasTiers: boolean): Books {
  const writes = history.filter(isWrite);
  return {
    history,
    writes,
    sales: writes.filter((write) => write.kind === 'sale'),
    resizes: writes.filter((write) => write.kind === 'resize'),
    split: new Set(final.layouts.map(({ sku_id }) => sku_id)),
    sent: groupBy(writes, (write) => effectsOf(write).map(({ key }) => key)),
    known: groupBy(history.flatMap(toldBy), ({ effect }) => [effect.key]),
    standing: new Map(standingEffects(final).map((effect) => [effect.key, effect])),
    final,
    mendedMs,
    hasTiers,
  };
}

export function violation(invariant: string, what: string): Violation {
  return { invariant, what };
}

/** What somebody had been told of a key before a moment. */
export function knownBefore({ known }: Books, key: string, ms: number): Known[] {
  return (known.get(key) ?? []).filter(({ atMs }) => atMs < ms);
}

/** Whether an effect was known to stand before a moment. */
export function isKnown(books: Books, { key, content }: Effect, beforeMs: number): boolean {
  return knownBefore(books, key, beforeMs).some(({ effect }) => effect.content === content);
}

/** Whether something was known before a moment that this effect cannot stand beside. */
export function isContradicted(books: Books, effect: Effect, beforeMs: number): boolean {
  return keysAround(effect).some((key) =>
    knownBefore(books, key, beforeMs).some((known) => contradict(effect, known.effect)),
  );
}

/** Whether something stands in the end that this effect cannot stand beside, and may have stood before a moment. */
export function mayBeContradicted(books: Books, effect: Effect, beforeMs: number): boolean {
  return keysAround(effect).some((key) => {
    const standing = books.standing.get(key);
    return standing !== undefined && contradict(effect, standing) && mayHaveStood(books, standing, beforeMs).length > 0;
  });
}

/** The sendings that may have brought an effect about before a moment. */
export function mayHaveStood({ sent }: Books, { key, content }: Effect, ms: number): Write[] {
  return (sent.get(key) ?? []).filter((write) => mayStand(write) && write.invokedMs < ms && says(write, key, content));
}

/** Whether an answer denies what stands, though no sending that can have brought it about was still under way, or came later. */
export function isDenied(key: string, { invokedMs }: Entry, { sent, standing }: Books): boolean {
  return standing.has(key) && (sent.get(key) ?? []).filter(mayStand).every((write) => overAtMs(write) < invokedMs);
}

/** What was sent under a key and how it ended, for a story: times are from the beginning of the answer that is told of. */
export function sendingsOf(key: string, { invokedMs: sinceMs }: Entry, { sent }: Books): string {
  const times = (write: Write): string =>
    [write.invokedMs, write.endedMs].map((ms) => Math.round(ms - sinceMs)).join(' to ');
  return (sent.get(key) ?? [])
    .map((write) => `${write.verdict}${write.code === null ? '' : ` (${write.code})`} ${times(write)} ms`)
    .join(', ');
}

export function says(write: Write, key: string, content: string): boolean {
  return effectsOf(write).some((effect) => effect.key === key && effect.content === content);
}

function keysAround({ key }: Effect): string[] {
  const sibling = siblingKey(key);
  return sibling === null ? [key] : [key, sibling];
}

function toldBy(entry: Entry): Known[] {
  if (entry.kind !== 'lookup' && (entry.kind === 'read' || entry.verdict !== 'done')) return [];
  const effects = entry.kind === 'lookup' ? effectsFound(entry) : effectsOf(entry);
  return effects.map((effect) => ({ effect, atMs: entry.endedMs }));
}
