import type { RowPlace } from './nouns.ts';
import { sumUnits } from './units.ts';

/** A stock row of a split SKU as it was read. */
export interface RowState extends RowPlace {
  /** The one to be named by who writes new ids to it. */
  readonly epoch: number;
  readonly isOpen: boolean;
  readonly leaved_amount: number;
  /** Those of them that may be sold: what came into a row that had nothing may not, for a while. */
  readonly sellable_amount: number;
  readonly held_amount: number;
  /** Raised by every change of the row. */
  readonly version: number;
}

/** Units that somebody needs in a row, more than lie there. */
export interface Want {
  readonly to: RowPlace;
  readonly units: number;
}

/** Units to be brought from one row to another. */
export interface Move {
  readonly from: RowPlace;
  /** Of the row that they leave, as it was read; null: it is closed. */
  readonly epoch: number | null;
  readonly to: RowPlace;
  readonly amount: number;
  /** The want it is for, by its place in the list; null: so that a row does not run short. */
  readonly want: number | null;
}

/** Where a row has less than this part of an equal share it is filled up. */
const LOW = 1 / 2;

interface Lot {
  readonly row: RowState;
  left: number;
}

/**
 * Plans how units are brought where they are wanted, and ahead of need to rows that run low. Wants are served whole or not at
 * all, in their order; a want may take from its own row too, so that what is planned for it is kept for it. What lies in closed rows
 * goes first. What is brought ahead shrinks with the stock: rows are filled up to an equal share of what is left. Nothing is
 * brought ahead to a row that keeps new units from being sold: what comes to it cannot be sold for that time either.
 *
 * @param rows all rows of the SKU
 * @param isHome whether a row takes ids in the layout that counts
 */
export function planMoves(
  rows: readonly RowState[],
  wants: readonly Want[],
  isHome: (row: RowState) => boolean,
): { readonly moves: Move[]; readonly unserved: number[] } {
  const lots = rows.map((row): Lot => ({ row, left: row.sellable_amount }));
  const moves: Move[] = [];
  const unserved: number[] = [];
  wants.forEach(({ to, units }, want) => {
    if (sumOf(lots) < units) return void unserved.push(want);
    for (let rest = units; rest > 0;) {
      const lot = richest(lots, isHome);
      if (lot === null) throw new Error('units vanished from a plan');
      const amount = Math.min(rest, lot.left);
      lot.left -= amount;
      rest -= amount;
      moves.push({ from: placeOf(lot.row), epoch: epochOf(lot.row), to, amount, want });
    }
  });
  return { moves: [...moves, ...levelOut(lots, isHome)], unserved };
}

/** Whether a row sells nothing for a while, because new units came in when it had none. */
function keepsBack({ row }: Lot): boolean {
  return row.leaved_amount > row.sellable_amount;
}

/** What lies in closed rows comes out, and rows that are low are filled up from those that have more than their share. */
function levelOut(lots: readonly Lot[], isHome: (row: RowState) => boolean): Move[] {
  const homes = lots.filter(({ row }) => isHome(row));
  if (homes.length === 0) return [];
  const share = Math.floor(sumOf(lots) / homes.length);
  const moves: Move[] = [];
  const bring = (from: Lot, to: Lot, amount: number): void => {
    from.left -= amount;
    to.left += amount;
    moves.push({ from: placeOf(from.row), epoch: epochOf(from.row), to: placeOf(to.row), amount, want: null });
  };
  const takers = homes.filter((lot) => !keepsBack(lot));
  for (const to of takers.filter(({ left }) => left < share * LOW)) {
    for (const from of lots) {
      const spare = isHome(from.row) ? from.left - share : from.left;
      const amount = Math.min(spare, share - to.left);
      if (amount > 0) bring(from, to, amount);
    }
  }
  for (const from of lots) {
    if (isHome(from.row) || from.left === 0) continue;
    const [poorest] = [...takers].sort((a, b) => a.left - b.left);
    if (poorest !== undefined) bring(from, poorest, from.left);
  }
  return moves;
}

function richest(lots: readonly Lot[], isHome: (row: RowState) => boolean): Lot | null {
  let best: Lot | null = null;
  for (const lot of lots) {
    if (lot.left === 0) continue;
    if (best === null || rank(lot, isHome) > rank(best, isHome)) best = lot;
  }
  return best;
}

function rank({ row, left }: Lot, isHome: (row: RowState) => boolean): number {
  return isHome(row) ? left : Infinity;
}

function placeOf({ shard, sub_row }: RowState): RowPlace {
  return { shard, sub_row };
}

function epochOf({ isOpen, epoch }: RowState): number | null {
  return isOpen ? epoch : null;
}

function sumOf(lots: readonly Lot[]): number {
  return sumUnits(lots.map(({ left }) => left));
}
