import { openBooks } from './books.ts';
import type { RoundBooks, Violation } from './books.ts';
import type { Entry, FinalState } from '../history.ts';
import { acceptedIsReplayed, pausedIsNotSold, refusalsAreTrue, replaysRepeat } from './rulesOfAnswers.ts';
import { lookupsAreTrue, statesAreTrue } from './rulesOfLookups.ts';
import {
  idsAreStoredOnce,
  layoutsWereRequested,
  pointersNameFlows,
  rowsMatchLayout,
  transfersArrive,
} from './rulesOfSplit.ts';
import {
  committedIsStored,
  refusedLeavesNothing,
  soldIsCommitted,
  undoneLeavesNothing,
} from './rulesOfTransactions.ts';
import { answersAreComplete, numbersWerePossible } from './rulesOfNumbers.ts';
import {
  acceptedIsStored,
  effectsOnce,
  nothingStaysHeld,
  ordersAreWhole,
  returnsFit,
  stockRowsBalance,
  storedWasSent,
} from './rulesOfState.ts';

const RULES: readonly ((books: RoundBooks) => Violation[])[] = [
  stockRowsBalance,
  effectsOnce,
  acceptedIsStored,
  storedWasSent,
  returnsFit,
  ordersAreWhole,
  nothingStaysHeld,
  committedIsStored,
  soldIsCommitted,
  undoneLeavesNothing,
  refusedLeavesNothing,
  idsAreStoredOnce,
  transfersArrive,
  layoutsWereRequested,
  rowsMatchLayout,
  pointersNameFlows,
  acceptedIsReplayed,
  replaysRepeat,
  pausedIsNotSold,
  refusalsAreTrue,
  statesAreTrue,
  lookupsAreTrue,
  answersAreComplete,
  numbersWerePossible,
];

/**
 * Compares the answers that clients received with the rows in the databases. Every rule is one function in
 * `rulesOf*.ts`; planted bugs (`test/planted/`) show that each can fail.
 *
 * @param mendedMs when the last fault was repaired: units of carts may stay held until a while after that
 * @param hasTiers whether gateways refuse early, so that new units of an empty row are sold only a while later
 */
export function check(history: readonly Entry[], final: FinalState, mendedMs = 0, hasTiers = false): Violation[] {
  const books = openBooks(history, final, mendedMs, hasTiers);
  return RULES.flatMap((rule) => rule(books));
}
