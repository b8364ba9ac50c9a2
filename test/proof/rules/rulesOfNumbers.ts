import { boundsOf, SELLABLE_MS_MAX } from './bounds.ts';
import type { Bounds } from './bounds.ts';
import { violation } from './books.ts';
import type { RoundBooks, Violation } from './books.ts';
import { flowKey, OWNERS, BENCH_SHARDS } from './effects.ts';
import type { DeductionSent, Entry, LookUpSent, ResizeSent, ReturnSent } from '../history.ts';

/** The codes in their order of precedence: where lines are refused for several reasons, the answer has the first. */
const PRECEDENCE = ['idempotency_conflict', 'cancelled', 'unknown_sku', 'not_on_sale', 'insufficient_stock'];

/** An answer has every field that the contract requires. */
export function answersAreComplete({ history }: RoundBooks): Violation[] {
  return history.flatMap((entry) =>
    faultsOf(entry).map((fault) => violation('contract', `a ${entry.kind} answered ${entry.code ?? 'done'} ${fault}`)),
  );
}

/** I8: an answer that reports a shortage or the units left reports a number that was possible during its call. */
export function numbersWerePossible(books: RoundBooks): Violation[] {
  const bounds = boundsOf(books);
  return books.history.flatMap((entry) => {
    const { invokedMs, endedMs } = entry;
    switch (entry.kind) {
      case 'read': {
        if (entry.leaved_amount === null) return [];
        const { leastUnheld, most } = bounds.left(entry.sku_id, invokedMs, endedMs);
        const fits = leastUnheld <= entry.leaved_amount && entry.leaved_amount <= most;
        return fits
          ? []
          : [violation('I8', `${entry.sku_id}: read ${entry.leaved_amount}, possible were ${leastUnheld} to ${most}`)];
      }
      case 'adjustment': {
        if (entry.code !== 'insufficient_stock') return [];
        // Units that carts hold are not left.
        const { leastUnheld } = bounds.left(entry.sku_id, invokedMs, endedMs);
        if (leastUnheld < -entry.delta) return [];
        const units = `${-entry.delta} was refused, and ${leastUnheld} were left`;
        return [violation('I8', `${entry.adjustment_id}: the write-off of ${units}`)];
      }
      case 'deduction':
        return shortages(entry, bounds, books);
      case 'return':
        return returnables(entry, bounds, -(books.stored.get(flowKey(entry))?.change ?? 0));
      case 'lookup':
        return rests(entry, bounds);
      case 'cancellation':
      case 'opening':
      case 'sale':
      case 'resize':
        return [];
    }
  });
}

/** I8: held units may come back, so no order is refused because of them. */
function shortages(entry: DeductionSent, bounds: Bounds, books: RoundBooks): Violation[] {
  const short = entry.refused.filter(({ code }) => code === 'insufficient_stock');
  return [...new Map(short.map((line) => [line.sku_id, line.leaved_amount ?? NaN]))].flatMap(([sku_id, reported]) => {
    const ordered = entry.lines
      .filter((line) => line.sku_id === sku_id)
      .reduce((sum, { quantity }) => sum + quantity, 0);
    const { least, leastUnheld, most } = bounds.left(sku_id, entry.invokedMs, entry.endedMs);
    const fits =
      (least < ordered && reported < ordered && leastUnheld <= reported && reported <= most) ||
      isTooEarly(entry, { sku_id, ordered, reported }, bounds, books);
    if (fits) return [];
    const possible = `${least} to ${most} (${leastUnheld} not held)`;
    return [
      violation(
        'I8',
        `${entry.order_id}: ${ordered} of ${sku_id} refused with ${reported} left, possible were ${possible}`,
      ),
    ];
  });
}

interface Shortage {
  readonly sku_id: string;
  readonly ordered: number;
  readonly reported: number;
}

/**
 * Whether a shortage is of units that cannot be sold yet. Where tiers are on, a row that had no units left and none
 * held does not sell new units for a while. A single row then sells nothing; of several rows, the others sell their
 * units.
 */
function isTooEarly(
  { invokedMs, endedMs }: DeductionSent,
  { sku_id, ordered, reported }: Shortage,
  bounds: Bounds,
  { hasTiers, split }: RoundBooks,
): boolean {
  if (!hasTiers) return false;
  if (!split.has(sku_id))
    return reported === 0 && bounds.canHaveBeenEmpty(sku_id, invokedMs - SELLABLE_MS_MAX, endedMs);
  const { least, leastUnheld, most } = bounds.leftToBuy(sku_id, invokedMs, endedMs);
  return least < ordered && reported < ordered && leastUnheld <= reported && reported <= most;
}

/** I6: the returnable units of a deduction are the units sold and not yet returned. */
function returnables(entry: ReturnSent, bounds: Bounds, sold: number): Violation[] {
  if (entry.returnable === null) return [];
  const { returned } = entry;
  if (
    entry.verdict === 'done' &&
    returned !== null &&
    (returned < entry.quantity || returned + entry.returnable !== sold)
  ) {
    const units = `${returned} returned and ${entry.returnable} returnable of ${sold} sold`;
    return [violation('I6', `return ${entry.return_id} of ${entry.quantity}: answered ${units}`)];
  }
  const { least, most } = bounds.returnable(entry, entry.invokedMs, entry.endedMs);
  const isPossible = least <= entry.returnable && entry.returnable <= most;
  const fits =
    isPossible && (entry.code !== 'over_return' || (least < entry.quantity && entry.returnable < entry.quantity));
  if (fits) return [];
  const answer = `${entry.code ?? 'done'} with ${entry.returnable} returnable`;
  return [
    violation(
      'I6',
      `return ${entry.return_id} of ${entry.quantity}: answered ${answer}, possible were ${least} to ${most}`,
    ),
  ];
}

function rests(entry: LookUpSent, bounds: Bounds): Violation[] {
  const { found } = entry;
  if (found === null || found.status === 'none' || found.status === 'pending') return [];
  const returnable = found.quantity - found.returned;
  const { least, most } = bounds.returnable(entry, entry.invokedMs, entry.endedMs);
  return least <= returnable && returnable <= most
    ? []
    : [
        violation(
          'I6',
          `${entry.order_detail_id}: found with ${returnable} returnable, possible were ${least} to ${most}`,
        ),
      ];
}

function faultsOf(entry: Entry): string[] {
  const { verdict, code } = entry;
  if (entry.kind === 'deduction' && verdict === 'refused') return namingFaults(entry);
  if (entry.kind === 'return' && code === 'over_return')
    return entry.returnable === null ? ['does not report the returnable units'] : [];
  if (verdict !== 'done') return [];
  switch (entry.kind) {
    case 'read':
      if (!Number.isSafeInteger(entry.leaved_amount)) return ['does not report the units left'];
      return entry.addsUp === false ? ['has rows and units in transit that do not add up to the units left'] : [];
    case 'lookup':
      return entry.found === null ? ['does not report the state of the line'] : [];
    case 'sale':
      return [];
    case 'resize':
      return hasLayout(entry) ? [] : ['does not have the layout that was requested'];
    case 'deduction':
      if (entry.replays === null) return ['does not list its lines'];
      return entry.replayed === entry.replays.every((isReplay) => isReplay)
        ? []
        : ['does not say whether it is a replay, or contradicts itself'];
    case 'return':
      if (entry.returned === null || entry.returnable === null) return ['does not report the returned units'];
      return entry.replayed === null ? ['does not say whether it is a replay'] : [];
    case 'cancellation':
    case 'adjustment':
    case 'opening':
      return entry.replayed === null ? ['does not say whether it is a replay'] : [];
  }
}

/** The requested number of rows, the first on the owner shard, and no two on a shard while there are enough shards. */
function hasLayout({ sku_id, sub_rows, rowShards }: ResizeSent): boolean {
  if (rowShards?.length !== sub_rows || rowShards[0] !== OWNERS.shardOf(sku_id)) return false;
  return new Set(rowShards).size === Math.min(sub_rows, BENCH_SHARDS);
}

/** A refused order names the refusing lines, which are lines of the order, and the units left of each short line. */
function namingFaults({ code, lines, refused }: DeductionSent): string[] {
  const asked = new Set(lines.map(flowKey));
  const faults: string[] = [];
  if (refused.length === 0) faults.push('names no line');
  if (!refused.every((line) => asked.has(flowKey(line)))) faults.push('names a line that the order does not have');
  if (refused.some((line) => line.code === 'insufficient_stock' && line.leaved_amount === null))
    faults.push('does not report the units left');
  if (refused.length > 0 && code !== PRECEDENCE.find((first) => refused.some((line) => line.code === first)))
    faults.push('does not have the first code of its lines');
  return faults;
}
