import type { RowPlace } from '../types.ts';
import { sumUnits } from '../units.ts';

/** A stock row of a split SKU as it was read. */
export interface RowState extends RowPlace {
  /** The epoch that a write of new ids to this row must name. */
  readonly epoch: number;
  readonly isOpen: boolean;
  readonly leaved_amount: number;
  /** Units left that may be sold now. Units that came into an empty row are not sold until the restock delay ends. */
  readonly sellable_amount: number;
  readonly held_amount: number;
  /** Raised by every change of the row. */
  readonly version: number;
}

/** A request for units in a row that has too few. */
export interface UnitsRequest {
  readonly to: RowPlace;
  readonly units: number;
}

/** Planned units from one row to another. */
export interface PlannedTransfer {
  readonly from: RowPlace;
  /** The epoch of the source row when it was read; null: the row is closed. */
  readonly epoch: number | null;
  readonly to: RowPlace;
  readonly amount: number;
  /** The index of the request that the units are for; null: they fill a row up ahead of need. */
  readonly request: number | null;
}

/** A row with less than this part of an equal share is filled up. */
const LOW_SHARE = 1 / 2;

interface RowDraft {
  readonly row: RowState;
  left: number;
}

/**
 * Plans a rebalance: the transfers that serve requests, and those that fill up low rows ahead of need.
 *
 * Requests are served in their order, each whole or not at all. A request may also take from its own row, which
 * reserves those units for it. Units in closed rows are taken first. Low rows are filled up to an equal share of the
 * units left, so these transfers get smaller with the stock. A row whose new units cannot be sold yet is not filled up:
 * it has units, and sells them soon.
 *
 * @param rows all rows of the SKU
 * @param wants the requests
 * @param isInLayout whether a row takes ids in the current layout
 * @returns the planned transfers, and the indexes of the requests that are not served
 */
export function planRebalance(
  rows: readonly RowState[],
  wants: readonly UnitsRequest[],
  isInLayout: (row: RowState) => boolean,
): { readonly moves: PlannedTransfer[]; readonly unserved: number[] } {
  const drafts = rows.map((row): RowDraft => ({ row, left: row.sellable_amount }));
  const moves: PlannedTransfer[] = [];
  const unserved: number[] = [];
  wants.forEach(({ to, units }, want) => {
    if (sumOf(drafts) < units) return void unserved.push(want);
    for (let rest = units; rest > 0;) {
      const draft = richest(drafts, isInLayout);
      if (draft === null) throw new Error('the rows have fewer units than the plan counted');
      const amount = Math.min(rest, draft.left);
      draft.left -= amount;
      rest -= amount;
      moves.push({ from: placeOf(draft.row), epoch: epochOf(draft.row), to, amount, request: want });
    }
  });
  return { moves: [...moves, ...fillUpLowRows(drafts, isInLayout)], unserved };
}

/** Whether a row has units that cannot be sold yet, because they came in while it was empty. */
function hasUnsellableUnits({ row }: RowDraft): boolean {
  return row.leaved_amount > row.sellable_amount;
}

/** Empties closed rows, and fills low rows up from rows that have more than an equal share. */
function fillUpLowRows(drafts: readonly RowDraft[], isInLayout: (row: RowState) => boolean): PlannedTransfer[] {
  const layoutRows = drafts.filter(({ row }) => isInLayout(row));
  if (layoutRows.length === 0) return [];
  const share = Math.floor(sumOf(drafts) / layoutRows.length);
  const moves: PlannedTransfer[] = [];
  const move = (from: RowDraft, to: RowDraft, amount: number): void => {
    from.left -= amount;
    to.left += amount;
    moves.push({ from: placeOf(from.row), epoch: epochOf(from.row), to: placeOf(to.row), amount, request: null });
  };
  const targets = layoutRows.filter((draft) => !hasUnsellableUnits(draft));
  for (const to of targets.filter(({ left }) => left < share * LOW_SHARE)) {
    for (const from of drafts) {
      const spare = isInLayout(from.row) ? from.left - share : from.left;
      const amount = Math.min(spare, share - to.left);
      if (amount > 0) move(from, to, amount);
    }
  }
  for (const from of drafts) {
    if (isInLayout(from.row) || from.left === 0) continue;
    const [poorest] = [...targets].sort((a, b) => a.left - b.left);
    if (poorest !== undefined) move(from, poorest, from.left);
  }
  return moves;
}

function richest(drafts: readonly RowDraft[], isInLayout: (row: RowState) => boolean): RowDraft | null {
  let best: RowDraft | null = null;
  for (const draft of drafts) {
    if (draft.left === 0) continue;
    if (best === null || rank(draft, isInLayout) > rank(best, isInLayout)) best = draft;
  }
  return best;
}

function rank({ row, left }: RowDraft, isInLayout: (row: RowState) => boolean): number {
  return isInLayout(row) ? left : Infinity;
}

function placeOf({ shard, sub_row }: RowState): RowPlace {
  return { shard, sub_row };
}

function epochOf({ isOpen, epoch }: RowState): number | null {
  return isOpen ? epoch : null;
}

function sumOf(drafts: readonly RowDraft[]): number {
  return sumUnits(drafts.map(({ left }) => left));
}
