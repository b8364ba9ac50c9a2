import { boundsOf, SELLABLE_MS_MAX } from './bounds.ts';
import type { Bounds } from './bounds.ts';
import { violation } from './books.ts';
import type { Books, Violation } from './books.ts';
import { flowKey, OWNERS, SHARDS } from './effects.ts';
import type { DeductionSent, Entry, LookedUp, ResizeSent, ReturnSent } from './history.ts';

/** Where lines are refused for several reasons, the first of these is told. */
const TOLD_FIRST = ['idempotency_conflict', 'cancelled', 'unknown_sku', 'not_on_sale', 'insufficient_stock'];

/** An answer says what the contract has it say. */
export function answersAreWhole({ history }: Books): Violation[] {
  return history.flatMap((entry) =>
    faultsOf(entry).map((fault) => violation('contract', `a ${entry.kind} answered ${entry.code ?? 'done'} ${fault}`)),
  );
}

/** I8: whoever was told that too little is left, or what is left, was told something that was so while he asked. */
export function numbersWerePossible(books: Books): Violation[] {
  const bounds = boundsOf(books);
  return books.history.flatMap((entry) => {
    const { invokedMs, endedMs } = entry;
    switch (entry.kind) {
      case 'read': {
        if (entry.leaved_amount === null) return [];
        const { leastShown, most } = bounds.left(entry.sku_id, invokedMs, endedMs);
        const fits = leastShown <= entry.leaved_amount && entry.leaved_amount <= most;
        return fits
          ? []
          : [violation('I8', `${entry.sku_id}: read ${entry.leaved_amount}, possible were ${leastShown} to ${most}`)];
      }
      case 'adjustment': {
        if (entry.code !== 'insufficient_stock') return [];
        // What carts hold is not on the shelf.
        const { leastShown } = bounds.left(entry.sku_id, invokedMs, endedMs);
        return leastShown < -entry.delta
          ? []
          : [
              violation(
                'I8',
                `${entry.adjustment_id}: refused to write off ${-entry.delta}, and ${leastShown} were left`,
              ),
            ];
      }
      case 'deduction':
        return shortages(entry, bounds, books);
      case 'return':
        return returnables(entry, bounds, -(books.standing.get(flowKey(entry))?.change ?? 0));
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

/** Units that are only held may come back, so nobody is refused for them. */
function shortages(entry: DeductionSent, bounds: Bounds, books: Books): Violation[] {
  const short = entry.refused.filter(({ code }) => code === 'insufficient_stock');
  return [...new Map(short.map((line) => [line.sku_id, line.leaved_amount ?? NaN]))].flatMap(([sku_id, told]) => {
    const asked = entry.lines.filter((line) => line.sku_id === sku_id).reduce((sum, { quantity }) => sum + quantity, 0);
    const { least, leastShown, most } = bounds.left(sku_id, entry.invokedMs, entry.endedMs);
    const fits =
      (least < asked && told < asked && leastShown <= told && told <= most) ||
      isTooEarly(entry, { sku_id, asked, told }, bounds, books);
    return fits
      ? []
      : [
          violation(
            'I8',
            `${entry.order_id}: refused ${asked} of ${sku_id} and told ${told}, of which ${least} to ${most} were left (${leastShown} not held)`,
          ),
        ];
  });
}

interface Shortage {
  readonly sku_id: string;
  readonly asked: number;
  readonly told: number;
}

/**
 * Whether a shortage is of units that a buyer may not get yet. Where tiers are on, a row that had nothing left and nothing held
 * keeps new units for a while. One row then sells nothing at all; of several rows the others sell what they have.
 */
function isTooEarly(
  { invokedMs, endedMs }: DeductionSent,
  { sku_id, asked, told }: Shortage,
  bounds: Bounds,
  { hasTiers, split }: Books,
): boolean {
  if (!hasTiers) return false;
  if (!split.has(sku_id)) return told === 0 && bounds.canHaveBeenEmpty(sku_id, invokedMs - SELLABLE_MS_MAX, endedMs);
  const { least, leastShown, most } = bounds.leftToBuy(sku_id, invokedMs, endedMs);
  return least < asked && told < asked && leastShown <= told && told <= most;
}

/** I6: what can come back is what was sold and has not come back. */
function returnables(entry: ReturnSent, bounds: Bounds, sold: number): Violation[] {
  if (entry.returnable === null) return [];
  const { returned } = entry;
  if (
    entry.verdict === 'done' &&
    returned !== null &&
    (returned < entry.quantity || returned + entry.returnable !== sold)
  ) {
    return [
      violation(
        'I6',
        `return ${entry.return_id} of ${entry.quantity}: told ${returned} came back and ${entry.returnable} can, and ${sold} were sold`,
      ),
    ];
  }
  const { least, most } = bounds.returnable(entry, entry.invokedMs, entry.endedMs);
  const isPossible = least <= entry.returnable && entry.returnable <= most;
  const fits =
    isPossible && (entry.code !== 'over_return' || (least < entry.quantity && entry.returnable < entry.quantity));
  return fits
    ? []
    : [
        violation(
          'I6',
          `return ${entry.return_id} of ${entry.quantity}: ${entry.code ?? 'done'}, told ${entry.returnable} can come back, possible were ${least} to ${most}`,
        ),
      ];
}

function rests(entry: LookedUp, bounds: Bounds): Violation[] {
  const { found } = entry;
  if (found === null || found.status === 'none' || found.status === 'pending') return [];
  const told = found.quantity - found.returned;
  const { least, most } = bounds.returnable(entry, entry.invokedMs, entry.endedMs);
  return least <= told && told <= most
    ? []
    : [violation('I6', `${entry.order_detail_id}: found with ${told} still out, possible were ${least} to ${most}`)];
}

function faultsOf(entry: Entry): string[] {
  const { verdict, code } = entry;
  if (entry.kind === 'deduction' && verdict === 'refused') return namingFaults(entry);
  if (entry.kind === 'return' && code === 'over_return')
    return entry.returnable === null ? ['does not say what can come back'] : [];
  if (verdict !== 'done') return [];
  switch (entry.kind) {
    case 'read':
      if (!Number.isSafeInteger(entry.leaved_amount)) return ['does not say what is left'];
      return entry.addsUp === false ? ['its rows and the units in transit are not what is left'] : [];
    case 'lookup':
      return entry.found === null ? ['does not say how the line stands'] : [];
    case 'sale':
      return [];
    case 'resize':
      return isLaidOut(entry) ? [] : ['does not lay it out as was asked'];
    case 'deduction':
      if (entry.replays === null) return ['does not repeat its lines'];
      return entry.replayed === entry.replays.every((isReplay) => isReplay)
        ? []
        : ['does not say whether it is a replay, or says it two ways'];
    case 'return':
      if (entry.returned === null || entry.returnable === null) return ['does not say what came back'];
      return entry.replayed === null ? ['does not say whether it is a replay'] : [];
    case 'cancellation':
    case 'adjustment':
    case 'opening':
      return entry.replayed === null ? ['does not say whether it is a replay'] : [];
  }
}

/** So many rows, the first at the owner, and no two on a shard while there are enough. */
function isLaidOut({ sku_id, sub_rows, places }: ResizeSent): boolean {
  if (places?.length !== sub_rows || places[0] !== OWNERS.shardOf(sku_id)) return false;
  return new Set(places).size === Math.min(sub_rows, SHARDS);
}

/** A refused order names the lines in the way, of those that were asked for, and where too little is left, how much. */
function namingFaults({ code, lines, refused }: DeductionSent): string[] {
  const asked = new Set(lines.map(flowKey));
  const faults: string[] = [];
  if (refused.length === 0) faults.push('names no line');
  if (!refused.every((line) => asked.has(flowKey(line)))) faults.push('names a line that was not asked for');
  if (refused.some((line) => line.code === 'insufficient_stock' && line.leaved_amount === null))
    faults.push('does not say what is left');
  if (refused.length > 0 && code !== TOLD_FIRST.find((first) => refused.some((line) => line.code === first)))
    faults.push('has lines that another code comes before');
  return faults;
}
