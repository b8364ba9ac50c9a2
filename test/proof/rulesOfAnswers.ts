import { boundsOf, SELLABLE_MS_MAX } from './bounds.ts';
import type { Bounds } from './bounds.ts';
import {
  isContradicted,
  isDenied,
  isKnown,
  knownBefore,
  mayBeContradicted,
  mayHaveStood,
  sendingsOf,
  violation,
} from './books.ts';
import type { Books, Violation } from './books.ts';
import { cancelKey, effectsFound, effectsOf, flowEffect, flowKey, isCart, isWrite, openingKey } from './effects.ts';
import type { Effect } from './effects.ts';
import { isConflict } from './history.ts';
import type { CancellationSent, DeductionSent, Entry, LineKey, LineState, Write } from './history.ts';
import { mayHaveBeen } from './sales.ts';

/**
 * I5: once ids are known to stand, whoever sends them again later is told so too; with another content, that they
 * conflict. I4: what is known to be cancelled is never sold.
 */
export function doneIsRepeated(books: Books): Violation[] {
  const bounds = boundsOf(books);
  return books.writes.flatMap((write) => {
    if (write.verdict !== 'done' && write.verdict !== 'refused') return [];
    const effects = effectsOf(write);
    const story = `${effects[0]?.name}: done before, then answered ${write.code ?? 'as new'}`;
    if (effects.some((effect) => isContradicted(books, effect, write.invokedMs))) {
      return isConflict(write) || isNamedEarly(write, bounds, books)
        ? []
        : [violation('I5', `${story}, which is not what was done`)];
    }
    if (
      write.kind === 'deduction' &&
      write.lines.some((line) => knownBefore(books, cancelKey(line), write.invokedMs).length > 0)
    ) {
      return write.code === 'cancelled' || isConflict(write) || isNamedEarly(write, bounds, books)
        ? []
        : [violation('I4', `${effects[0]?.name}: cancelled before, then answered ${write.code ?? 'done'}`)];
    }
    const known = effects.map((effect) => isKnown(books, effect, write.invokedMs));
    const isWhole = effects.length > 0 && known.every((isSo) => isSo);
    if (write.verdict === 'refused') return isWhole && write.code !== 'cancelled' ? [violation('I5', story)] : [];
    // Of a deduction every line is told; anything else is a replay as a whole, or not.
    const replays = replaysOf(write);
    const isTold =
      write.kind === 'deduction'
        ? known.every((isSo, index) => !isSo || replays[index] === true)
        : !isWhole || replays[0] === true;
    return isTold ? [] : [violation('I5', story)];
  });
}

/**
 * Whether a pre-check may have refused an order before its shards were asked: it may name `insufficient_stock` before any other
 * code. It names only lines of SKUs that it can have seen empty, and of those no line that was ever sold.
 */
function isNamedEarly(write: Write, bounds: Bounds, books: Books): boolean {
  if (
    !books.hasTiers ||
    write.kind !== 'deduction' ||
    write.code !== 'insufficient_stock' ||
    write.refused.length === 0
  )
    return false;
  const { invokedMs, endedMs } = write;
  return write.refused.every((line) => {
    const isNew = knownBefore(books, flowKey(line), invokedMs).length === 0;
    const isSoldOut = line.code === 'insufficient_stock' && line.leaved_amount === 0;
    return isNew && isSoldOut && bounds.canHaveBeenEmpty(line.sku_id, invokedMs - SELLABLE_MS_MAX, endedMs);
  });
}

/** I5: nobody is told of a replay when nothing was there to be repeated. */
export function replaysRepeat(books: Books): Violation[] {
  return books.writes.flatMap((write) => {
    if (write.verdict !== 'done') return [];
    const replays = replaysOf(write);
    return effectsOf(write)
      .filter(
        (effect, index) =>
          replays[index] === true && !mayHaveStood(books, effect, write.endedMs).some((other) => other !== write),
      )
      .map(({ name }) => violation('I5', `${name}: answered as a replay, and never sent before`));
  });
}

/** What is paused is not sold. */
export function pausesHold(books: Books): Violation[] {
  return books.writes.flatMap((write) => {
    if (write.kind !== 'deduction' || write.verdict !== 'done') return [];
    return effectsOf(write)
      .filter((effect) => mayHaveStood(books, effect, write.endedMs).every((other) => other === write))
      .filter(({ sku_id }) => !mayHaveBeen(books.sales, sku_id, 'on', write.invokedMs, write.endedMs))
      .map(({ name }) => violation('contract', `${name}: sold while it was paused`));
  });
}

/** Every refusal has a reason that can have been so; what is refused as missing was not there, nor on its way. */
export function refusalsAreTrue(books: Books): Violation[] {
  return books.history.flatMap((entry) => {
    if (entry.verdict === 'breach') return [violation('contract', `a ${entry.kind} was answered ${entry.code}`)];
    if (entry.verdict !== 'refused') return [];
    const named = refusingLinesOf(entry);
    const grounds =
      named.length > 0
        ? named.map((line) => ({ code: line.code, lines: [line] }))
        : [{ code: entry.code, lines: linesOf(entry) }];
    const story = (lines: readonly Partial<LineKey>[], code: string | null): string =>
      `a ${entry.kind} of ${lines.map(({ sku_id, order_detail_id }) => `${order_detail_id ?? ''} ${sku_id}`.trim()).join(', ')} was answered ${code}`;
    return grounds.flatMap(({ code, lines }) => {
      const keys = isWrite(entry) ? effectsOf(entry).map(({ key }) => key) : [];
      if (!isGround(code, entry, lines, books)) return [violation('contract', story(lines, code))];
      return isDenial(code, entry, lines, books)
        ? [
            violation(
              'I4',
              `${story(lines, code)}, though an earlier attempt stood; sent: ${keys.map((key) => sendingsOf(key, entry, books)).join('; ')}`,
            ),
          ]
        : [];
    });
  });
}

/** A look-up never denies what was known before it was asked or what can come no more, nor finds what never was. */
export function lookupsAreTrue(books: Books): Violation[] {
  return books.history.flatMap((entry) => {
    if (entry.kind !== 'lookup' || entry.found === null) return [];
    const { found, invokedMs } = entry;
    const name = `${entry.order_detail_id} of ${entry.sku_id}`;
    const isGone = effectsFound(entry).some(({ key, content }) => books.standing.get(key)?.content !== content);
    if (isGone) return [violation('I4', `${name}: found ${found.status}, and later otherwise`)];
    if (found.status === 'cancelled')
      return mayBeCancelled(books, entry, entry.endedMs)
        ? []
        : [violation('I4', `${name}: found cancelled, and never was`)];
    if (knownBefore(books, cancelKey(entry), invokedMs).length > 0)
      return [violation('I4', `${name}: cancelled, and then found ${found.status}`)];
    if (found.status === 'pending')
      return isHeldFor(books, entry, found, entry.endedMs)
        ? []
        : [violation('contract', `${name}: found pending, and no cart of this content was sent`)];
    if (found.status === 'deducted') return [];
    if (knownBefore(books, flowKey(entry), invokedMs).length > 0)
      return [violation('I5', `${name}: done, and then not found`)];
    return isDenied(flowKey(entry), entry, books)
      ? [
          violation(
            'I4',
            `${name}: not found after every attempt was over, and it stands; sent: ${sendingsOf(flowKey(entry), entry, books)}`,
          ),
        ]
      : [];
  });
}

/** A refused cancellation gives the state of every line. It must be as true as that of a look-up; `unavailable` says nothing. */
export function statesAreTrue(books: Books): Violation[] {
  return books.history.flatMap((entry) => {
    if (entry.kind !== 'cancellation' || entry.verdict !== 'refused') return [];
    const { states } = entry;
    if (states === null)
      return [violation('contract', `a cancellation of ${entry.order_id} was refused without the states of its lines`)];
    if (!states.some(({ code }) => code === entry.code))
      return [
        violation(
          'contract',
          `a cancellation of ${entry.order_id} was answered ${entry.code}, and no line has that code`,
        ),
      ];
    return states.flatMap((state) => falseState(books, entry, state));
  });
}

function falseState(books: Books, entry: CancellationSent, { status, ...line }: LineState): Violation[] {
  const { invokedMs, endedMs } = entry;
  const story = (invariant: string, what: string): Violation[] => [
    violation(invariant, `${line.order_detail_id} of ${line.sku_id}: ${status} in a refused cancellation, ${what}`),
  ];
  if (status === 'unavailable') return [];
  if (status === 'cancelled') return mayBeCancelled(books, line, endedMs) ? [] : story('I4', 'and never was');
  if (knownBefore(books, cancelKey(line), invokedMs).length > 0) return story('I4', 'though cancelled before');
  if (status === 'pending')
    return cartsOf(books, line, endedMs).length > 0 ? [] : story('contract', 'and no cart with it was sent');
  if (status === 'deducted') {
    const standing = books.standing.get(flowKey(line));
    return standing !== undefined && mayHaveStood(books, standing, endedMs).length > 0
      ? []
      : story('I4', 'and never was');
  }
  if (knownBefore(books, flowKey(line), invokedMs).length > 0) return story('I5', 'though done before');
  return isDenied(flowKey(line), entry, books) ? story('I4', 'though it stands and every attempt was over') : [];
}

/** The lines that an answer names as the reason of its refusal. */
function refusingLinesOf(entry: Entry): readonly (LineKey & { readonly code: string | null })[] {
  if (entry.kind === 'deduction') return entry.refused;
  return entry.kind === 'cancellation' ? (entry.states ?? []).filter(({ code }) => code !== null) : [];
}

function isGround(code: string | null, entry: Entry, lines: readonly Partial<LineKey>[], books: Books): boolean {
  const { invokedMs, endedMs } = entry;
  const keys = lines.filter((line): line is LineKey => line.order_detail_id !== undefined);
  switch (code) {
    case 'insufficient_stock':
      return entry.kind === 'deduction' || (entry.kind === 'adjustment' && entry.delta < 0);
    case 'unknown_sku':
      return (
        entry.kind !== 'opening' &&
        entry.kind !== 'lookup' &&
        lines.some(({ sku_id = '' }) => knownBefore(books, openingKey(sku_id), invokedMs).length === 0)
      );
    case 'not_on_sale':
      return (
        entry.kind === 'deduction' &&
        lines.every(({ sku_id = '' }) => mayHaveBeen(books.sales, sku_id, 'paused', invokedMs, endedMs))
      );
    case 'cancelled':
      return entry.kind === 'deduction' && keys.some((key) => mayBeCancelled(books, key, endedMs));
    case 'idempotency_conflict':
    case 'sku_exists':
      return isWrite(entry) && effectsAt(entry, keys).some((effect) => mayBeContradicted(books, effect, endedMs));
    case 'unknown_deduction':
      return entry.kind === 'return' && knownBefore(books, flowKey(entry), invokedMs).length === 0;
    case 'over_return':
      return entry.kind === 'return';
    case 'pending':
      return (
        (entry.kind === 'return' || entry.kind === 'cancellation') && keys.some((key) => mayBeOpen(books, key, entry))
      );
    case null:
    default:
      return false;
  }
}

/** Whether a refusal says of something that stands that it does not. */
function isDenial(code: string | null, entry: Entry, lines: readonly Partial<LineKey>[], books: Books): boolean {
  if (isConflict(entry) || code === 'idempotency_conflict' || code === 'cancelled') return false;
  const keys = lines.filter((line): line is LineKey => line.order_detail_id !== undefined);
  const own = isWrite(entry) ? effectsAt(entry, keys).map(({ key }) => key) : [];
  if (own.length > 0 && own.every((key) => isDenied(key, entry, books))) return true;
  if (entry.kind === 'return' && code === 'unknown_deduction') return isDenied(flowKey(entry), entry, books);
  // A plain read waits for nobody, so an opening that nobody knows of yet may come after it.
  return (
    code === 'unknown_sku' &&
    entry.kind !== 'read' &&
    lines.length === 1 &&
    isDenied(openingKey(lines[0]?.sku_id ?? ''), entry, books)
  );
}

/** The effects of a write at some of its lines; all, where it has no lines. */
function effectsAt(write: Write, lines: readonly LineKey[]): Effect[] {
  const effects = effectsOf(write);
  if (write.kind !== 'deduction' && write.kind !== 'cancellation') return effects;
  const keys = new Set(lines.flatMap((line) => [flowKey(line), cancelKey(line)]));
  return effects.filter(({ key }) => keys.has(key));
}

/** A cancellation is final, so one that was ever in the way still stands. */
function mayBeCancelled(books: Books, line: LineKey, beforeMs: number): boolean {
  const standing = books.standing.get(cancelKey(line));
  return standing !== undefined && mayHaveStood(books, standing, beforeMs).length > 0;
}

/** Whether a line can have been held for a cart that nobody knew the end of. */
function mayBeOpen(books: Books, line: LineKey, { invokedMs, endedMs }: Entry): boolean {
  return knownBefore(books, flowKey(line), invokedMs).length === 0 && cartsOf(books, line, endedMs).length > 0;
}

function isHeldFor(
  books: Books,
  line: LineKey,
  { order_id, quantity }: { readonly order_id: string; readonly quantity: number },
  beforeMs: number,
): boolean {
  const { content } = flowEffect({ ...line, order_id, quantity });
  return cartsOf(books, line, beforeMs).some((cart) =>
    effectsOf(cart).some((effect) => effect.key === flowKey(line) && effect.content === content),
  );
}

function cartsOf({ sent, split }: Books, line: LineKey, beforeMs: number): DeductionSent[] {
  return (sent.get(flowKey(line)) ?? []).filter(
    (write): write is DeductionSent =>
      write.kind === 'deduction' && isCart(write.lines, split) && write.invokedMs < beforeMs,
  );
}

/** Which of its effects an answer called replays. */
function replaysOf(write: Write): readonly boolean[] {
  if (write.kind === 'sale' || write.kind === 'resize') return [];
  if (write.kind === 'deduction' && write.replays !== null) return write.replays;
  return effectsOf(write).map(() => write.replayed === true);
}

function linesOf(entry: Entry): readonly Partial<LineKey>[] {
  if (entry.kind === 'deduction' || entry.kind === 'cancellation') return entry.lines;
  return [entry];
}
