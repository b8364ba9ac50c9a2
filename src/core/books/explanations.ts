import type { DifferenceKind } from './reconciliation.ts';

/** The meaning of each kind of difference, for the log. `docs/operating/reconcile.md` has the action for each. */
export const EXPLANATIONS: Readonly<Record<DifferenceKind, string>> = {
  leaved_amount: 'The stock row has another number of units left than its journal adds up to.',
  held_amount: 'The stock row has another number of units held than its pending flows.',
  returned: 'A flow counts other returned units than its returns have.',
  hold_row: 'A pending flow has no row of its hold, or the reverse.',
  hold_left: 'An order that was decided long ago, or has no record, still holds units.',
  cart_line: 'The record of an order names a line that was not sold so.',
  aborted_line: 'A line was sold by an order that was aborted or has no record.',
  transfer_left: 'Units that left a row of a hot SKU have not arrived in another.',
};
