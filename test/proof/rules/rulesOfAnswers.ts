import { boundsOf, SELLABLE_MS_MAX } from './bounds.ts';
import type { Bounds } from './bounds.ts';
import {
  cartsOf,
  isContradicted,
  isDenied,
  isReported,
  reportedBefore,
  mayBeCancelled,
  mayBeContradicted,
  mayHaveCaused,
  sendingsOf,
  violation,
} from './books.ts';
import type { RoundBooks, Violation } from './books.ts';
import { cancelKey, effectsOf, flowKey, isWrite, openingKey } from './effects.ts';
import type { Effect } from './effects.ts';
import { isConflict } from '../history.ts';
import type { Entry, LineKey, Write } from '../history.ts';
import { mayHaveBeen } from '../saleStates.ts';

/**
 * I5: once an answer has reported ids as stored, every later attempt with the same ids is answered as a replay, or as a
 * conflict where its content differs. I4: a line that an answer has reported as cancelled is never sold.
 */
export function acceptedIsReplayed(books: RoundBooks): Violation[] {
  const bounds = boundsOf(books);
  return books.writes.flatMap((write) => {
    if (write.verdict !== 'done' && write.verdict !== 'refused') return [];
    const effects = effectsOf(write);
    const story = `${effects[0]?.name}: accepted before, then answered ${write.code ?? 'as new'}`;
    if (effects.some((effect) => isContradicted(books, effect, write.invokedMs))) {
      return isConflict(write) || isNamedEarly(write, bounds, books)
        ? []
        : [violation('I5', `${story}, with another content`)];
    }
    if (
      write.kind === 'deduction' &&
      write.lines.some((line) => reportedBefore(books, cancelKey(line), write.invokedMs).length > 0)
    ) {
      return write.code === 'cancelled' || isConflict(write) || isNamedEarly(write, bounds, books)
        ? []
        : [violation('I4', `${effects[0]?.name}: cancelled before, then answered ${write.code ?? 'done'}`)];
    }
    const known = effects.map((effect) => isReported(books, effect, write.invokedMs));
    const isWhole = effects.length > 0 && known.every((isSo) => isSo);
    if (write.verdict === 'refused') return isWhole && write.code !== 'cancelled' ? [violation('I5', story)] : [];
    // A deduction marks each line as a replay or not; any other write is marked as a whole.
    const replays = replaysOf(write);
    const isMarked =
      write.kind === 'deduction'
        ? known.every((isSo, index) => !isSo || replays[index] === true)
        : !isWhole || replays[0] === true;
    return isMarked ? [] : [violation('I5', story)];
  });
}

/**
 * Whether a pre-check may have refused an order before its shards were read. It may return `insufficient_stock` ahead
 * of any other code. It names only lines of SKUs that can have had an empty reading, and no line that was accepted
 * before.
 */
function isNamedEarly(write: Write, bounds: Bounds, books: RoundBooks): boolean {
  if (
    !books.hasTiers ||
    write.kind !== 'deduction' ||
    write.code !== 'insufficient_stock' ||
    write.refused.length === 0
  )
    return false;
  const { invokedMs, endedMs } = write;
  return write.refused.every((line) => {
    const isNew = reportedBefore(books, flowKey(line), invokedMs).length === 0;
    const isSoldOut = line.code === 'insufficient_stock' && line.leaved_amount === 0;
    return isNew && isSoldOut && bounds.canHaveBeenEmpty(line.sku_id, invokedMs - SELLABLE_MS_MAX, endedMs);
  });
}

/** I5: no answer is marked as a replay without an earlier sending of the same. */
export function replaysRepeat(books: RoundBooks): Violation[] {
  return books.writes.flatMap((write) => {
    if (write.verdict !== 'done') return [];
    const replays = replaysOf(write);
    return effectsOf(write)
      .filter(
        (effect, index) =>
          replays[index] === true && !mayHaveCaused(books, effect, write.endedMs).some((other) => other !== write),
      )
      .map(({ name }) => violation('I5', `${name}: answered as a replay, and never sent before`));
  });
}

/** A paused SKU is not sold. */
export function pausedIsNotSold(books: RoundBooks): Violation[] {
  return books.writes.flatMap((write) => {
    if (write.kind !== 'deduction' || write.verdict !== 'done') return [];
    return effectsOf(write)
      .filter((effect) => mayHaveCaused(books, effect, write.endedMs).every((other) => other === write))
      .filter(({ sku_id }) => !mayHaveBeen(books.sales, sku_id, 'on', write.invokedMs, write.endedMs))
      .map(({ name }) => violation('contract', `${name}: sold while it was paused`));
  });
}

/**
 * Every refusal has a reason that was possible. An effect that is refused as missing was neither stored nor in
 * progress.
 */
export function refusalsAreTrue(books: RoundBooks): Violation[] {
  return books.history.flatMap((entry) => {
    if (entry.verdict === 'breach') return [violation('contract', `a ${entry.kind} was answered ${entry.code}`)];
    if (entry.verdict !== 'refused') return [];
    const named = refusingLinesOf(entry);
    const grounds =
      named.length > 0
        ? named.map((line) => ({ code: line.code, lines: [line] }))
        : [{ code: entry.code, lines: linesOf(entry) }];
    const story = (lines: readonly Partial<LineKey>[], code: string | null): string => {
      const names = lines.map(({ sku_id, order_detail_id }) => `${order_detail_id ?? ''} ${sku_id}`.trim());
      return `a ${entry.kind} of ${names.join(', ')} was answered ${code}`;
    };
    return grounds.flatMap(({ code, lines }) => {
      const keys = isWrite(entry) ? effectsOf(entry).map(({ key }) => key) : [];
      if (!isGround(code, entry, lines, books)) return [violation('contract', story(lines, code))];
      if (!isDenial(code, entry, lines, books)) return [];
      const sendings = keys.map((key) => sendingsOf(key, entry, books)).join('; ');
      return [violation('I4', `${story(lines, code)}, though an earlier attempt is stored; sent: ${sendings}`)];
    });
  });
}

/** The lines that an answer names as the reason of its refusal. */
function refusingLinesOf(entry: Entry): readonly (LineKey & { readonly code: string | null })[] {
  if (entry.kind === 'deduction') return entry.refused;
  return entry.kind === 'cancellation' ? (entry.states ?? []).filter(({ code }) => code !== null) : [];
}

function isGround(code: string | null, entry: Entry, lines: readonly Partial<LineKey>[], books: RoundBooks): boolean {
  const { invokedMs, endedMs } = entry;
  const keys = lines.filter((line): line is LineKey => line.order_detail_id !== undefined);
  switch (code) {
    case 'insufficient_stock':
      return entry.kind === 'deduction' || (entry.kind === 'adjustment' && entry.delta < 0);
    case 'unknown_sku':
      return (
        entry.kind !== 'opening' &&
        entry.kind !== 'lookup' &&
        lines.some(({ sku_id = '' }) => reportedBefore(books, openingKey(sku_id), invokedMs).length === 0)
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
      return entry.kind === 'return' && reportedBefore(books, flowKey(entry), invokedMs).length === 0;
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

/** Whether a refusal denies an effect that is stored. */
function isDenial(code: string | null, entry: Entry, lines: readonly Partial<LineKey>[], books: RoundBooks): boolean {
  if (isConflict(entry) || code === 'idempotency_conflict' || code === 'cancelled') return false;
  const keys = lines.filter((line): line is LineKey => line.order_detail_id !== undefined);
  const own = isWrite(entry) ? effectsAt(entry, keys).map(({ key }) => key) : [];
  if (own.length > 0 && own.every((key) => isDenied(key, entry, books))) return true;
  if (entry.kind === 'return' && code === 'unknown_deduction') return isDenied(flowKey(entry), entry, books);
  // A read waits for no write, so an opening without an answer may be applied after it.
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

/** Whether a line can have been held for a cart that no answer had reported as decided. */
function mayBeOpen(books: RoundBooks, line: LineKey, { invokedMs, endedMs }: Entry): boolean {
  return reportedBefore(books, flowKey(line), invokedMs).length === 0 && cartsOf(books, line, endedMs).length > 0;
}

/** Which of its effects an answer marked as replays. */
function replaysOf(write: Write): readonly boolean[] {
  if (write.kind === 'sale' || write.kind === 'resize') return [];
  if (write.kind === 'deduction' && write.replays !== null) return write.replays;
  return effectsOf(write).map(() => write.replayed === true);
}

function linesOf(entry: Entry): readonly Partial<LineKey>[] {
  if (entry.kind === 'deduction' || entry.kind === 'cancellation') return entry.lines;
  return [entry];
}
