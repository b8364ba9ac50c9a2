import { openBooks } from './books.ts';
import type { Books, Violation } from './books.ts';
import type { Entry, FinalState } from './history.ts';
import { doneIsRepeated, pausesHold, refusalsAreTrue, replaysRepeat } from './rulesOfAnswers.ts';
import { lookupsAreTrue, statesAreTrue } from './rulesOfLookups.ts';
import { idsLieOnce, layoutsWereAsked, pointersLead, rowsAreInPlace, transfersArrive } from './rulesOfSplit.ts';
import { answersAreWhole, numbersWerePossible } from './rulesOfNumbers.ts';
import {
  doneStands,
  effectsOnce,
  nothingIsHeld,
  ordersAreWhole,
  returnsFit,
  rowsBalance,
  standingWasSent,
} from './rulesOfState.ts';

const RULES: readonly ((books: Books) => Violation[])[] = [
  rowsBalance,
  effectsOnce,
  doneStands,
  standingWasSent,
  returnsFit,
  ordersAreWhole,
  nothingIsHeld,
  idsLieOnce,
  transfersArrive,
  layoutsWereAsked,
  rowsAreInPlace,
  pointersLead,
  doneIsRepeated,
  replaysRepeat,
  pausesHold,
  refusalsAreTrue,
  statesAreTrue,
  lookupsAreTrue,
  answersAreWhole,
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
