import { cartsOf, isDenied, reportedBefore, mayBeCancelled, mayHaveCaused, sendingsOf, violation } from './books.ts';
import type { RoundBooks, Violation } from './books.ts';
import { cancelKey, effectsFound, effectsOf, flowEffect, flowKey } from './effects.ts';
import type { CancellationSent, LineKey, LineState } from '../history.ts';

/**
 * A look-up finds every effect that was reported before it or whose attempts are all over, and no effect that was never
 * sent.
 */
export function lookupsAreTrue(books: RoundBooks): Violation[] {
  return books.history.flatMap((entry) => {
    if (entry.kind !== 'lookup' || entry.found === null) return [];
    const { found, invokedMs } = entry;
    const name = `${entry.order_detail_id} of ${entry.sku_id}`;
    const isLost = effectsFound(entry).some(({ key, content }) => books.stored.get(key)?.content !== content);
    if (isLost) return [violation('I4', `${name}: found ${found.status}, and not stored so in the end`)];
    if (found.status === 'cancelled')
      return mayBeCancelled(books, entry, entry.endedMs)
        ? []
        : [violation('I4', `${name}: found cancelled, and never cancelled`)];
    if (reportedBefore(books, cancelKey(entry), invokedMs).length > 0)
      return [violation('I4', `${name}: cancelled, and then found ${found.status}`)];
    if (found.status === 'pending')
      return isHeldFor(books, entry, found, entry.endedMs)
        ? []
        : [violation('contract', `${name}: found pending, and no cart of this content was sent`)];
    if (found.status === 'deducted') return [];
    if (reportedBefore(books, flowKey(entry), invokedMs).length > 0)
      return [violation('I5', `${name}: accepted, and then not found`)];
    if (!isDenied(flowKey(entry), entry, books)) return [];
    const sendings = sendingsOf(flowKey(entry), entry, books);
    return [violation('I4', `${name}: not found after every attempt was over, and it is stored; sent: ${sendings}`)];
  });
}

/**
 * A refused cancellation lists the state of every line, as true as that of a look-up; `unavailable` may be anything.
 */
export function statesAreTrue(books: RoundBooks): Violation[] {
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

function falseState(books: RoundBooks, entry: CancellationSent, { status, ...line }: LineState): Violation[] {
  const { invokedMs, endedMs } = entry;
  const story = (invariant: string, what: string): Violation[] => [
    violation(invariant, `${line.order_detail_id} of ${line.sku_id}: ${status} in a refused cancellation, ${what}`),
  ];
  if (status === 'unavailable') return [];
  if (status === 'cancelled') return mayBeCancelled(books, line, endedMs) ? [] : story('I4', 'and never cancelled');
  if (reportedBefore(books, cancelKey(line), invokedMs).length > 0) return story('I4', 'though cancelled before');
  if (status === 'pending')
    return cartsOf(books, line, endedMs).length > 0 ? [] : story('contract', 'and no cart with it was sent');
  if (status === 'deducted') {
    const standing = books.stored.get(flowKey(line));
    return standing !== undefined && mayHaveCaused(books, standing, endedMs).length > 0
      ? []
      : story('I4', 'and never deducted');
  }
  if (reportedBefore(books, flowKey(line), invokedMs).length > 0) return story('I5', 'though accepted before');
  return isDenied(flowKey(line), entry, books) ? story('I4', 'though it is stored and every attempt was over') : [];
}

function isHeldFor(
  books: RoundBooks,
  line: LineKey,
  { order_id, quantity }: { readonly order_id: string; readonly quantity: number },
  beforeMs: number,
): boolean {
  const { content } = flowEffect({ ...line, order_id, quantity });
  return cartsOf(books, line, beforeMs).some((cart) =>
    effectsOf(cart).some((effect) => effect.key === flowKey(line) && effect.content === content),
  );
}
