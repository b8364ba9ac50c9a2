import type { RowState } from '../../core/hot/rebalancePlan.ts';
import type { DeadlineMs, FoundHold, RowPlace, Transfer } from '../../core/types.ts';
import type { StaleLayout, NotDone } from '../../core/outcome.ts';
import { sumUnits } from '../../core/units.ts';
import type { AllRows } from './readAllRows.ts';

/** Units that have left their rows for a stock request. They are credited in the transaction that uses them. */
export interface Fetched {
  readonly is: 'fetched';
  readonly credits: readonly Transfer[];
}

/** At one moment all rows together had fewer units than requested. */
export interface Short {
  readonly is: 'short';
  readonly leaved_amount: number;
  /** `leaved_amount` and the units that came in too recently to be sold or to leave their row. */
  readonly amount_in_rows: number;
}

/** The request could be served only with units that carts hold. */
export interface HeldByCarts {
  readonly is: 'pending';
  readonly holds: readonly FoundHold[];
}

/** All rows, read while no units were on their way between them. */
export interface AllRowsRead {
  readonly is: 'seen';
  readonly state: AllRows;
}

/** `moved`: the row that should get the units is no longer a row of the SKU. */
export type StockRequestOutcome = Fetched | Short | HeldByCarts | AllRowsRead | StaleLayout | NotDone;

/** A request for units in one row. */
export interface StockRequest {
  readonly sku_id: string;
  readonly to: RowPlace;
  /** 0: only fill up rows that run low and empty closed rows. */
  readonly units: number;
  /** Only read what all rows have. */
  readonly isReadOnly?: boolean;
  /** Whether the request may wait for units that carts hold. */
  readonly waitsForHolds: boolean;
}

/** A stock request until it is answered, at its deadline at the latest. */
export class PendingStockRequest {
  readonly request: StockRequest;
  readonly deadlineMs: DeadlineMs;
  /** The units that have left their rows for this request so far. */
  credits: readonly Transfer[] = [];
  /** Whether all rows have been read once for this request. */
  wereRowsRead = false;
  readonly #resolve: (gathered: StockRequestOutcome) => void;
  readonly #timer: NodeJS.Timeout;
  #isOver = false;

  constructor(wish: StockRequest, deadlineMs: DeadlineMs, resolve: (gathered: StockRequestOutcome) => void) {
    this.request = wish;
    this.deadlineMs = deadlineMs;
    this.#resolve = resolve;
    this.#timer = setTimeout(
      () => this.answer({ is: 'not_done', reason: 'the requested units could not be moved to the row in time' }),
      Math.max(0, deadlineMs - performance.now()),
    );
  }

  /** Whether the request has been answered. Units that are fetched for it afterwards must be put back. */
  get isAnswered(): boolean {
    return this.#isOver;
  }

  /** The units that are still missing. */
  get unitsMissing(): number {
    return this.request.units - sumUnits(this.credits.map(({ amount }) => amount));
  }

  /** Answers the request. Only the first answer counts. */
  answer(gathered: StockRequestOutcome): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#resolve(gathered);
  }
}

/**
 * Answers the requests whose own row now has enough units: with no credits, so that the operation is tried again there.
 *
 * @returns the other requests
 */
export function answerServedRequests(
  asks: readonly PendingStockRequest[],
  rows: readonly RowState[],
): PendingStockRequest[] {
  const sellable = new Map(rows.map((row) => [placeText(row), row.sellable_amount]));
  return asks.filter((ask) => {
    const { units, to } = ask.request;
    const left = (sellable.get(placeText(to)) ?? 0) - units;
    if (units === 0 || ask.credits.length > 0 || left < 0) return true;
    sellable.set(placeText(to), left);
    ask.answer({ is: 'fetched', credits: [] });
    return false;
  });
}

function placeText({ shard, sub_row }: RowPlace): string {
  return `${shard} ${sub_row}`;
}
