import type { RowState } from '../../core/moves.ts';
import type { DeadlineMs, FoundHold, RowPlace, Transfer } from '../../core/nouns.ts';
import type { Moved, NotDone } from '../../core/outcome.ts';
import { sumUnits } from '../../core/units.ts';
import type { Collected } from './collect.ts';

/** Units that left their rows for somebody, and come in together with what he takes. */
export interface Fetched {
  readonly is: 'fetched';
  readonly credits: readonly Transfer[];
}

/** All rows together had not so many at one moment. */
export interface Short {
  readonly is: 'short';
  readonly leaved_amount: number;
  /** With those that came in too lately to be sold, or to leave their row. */
  readonly lying_amount: number;
}

/** What carts hold would be needed. */
export interface HeldBack {
  readonly is: 'pending';
  readonly holds: readonly FoundHold[];
}

/** All rows, with nothing on its way between them. */
export interface Seen {
  readonly is: 'seen';
  readonly state: Collected;
}

/** `moved`: the row that they were wanted in is none of the SKU's any more. */
export type Gathered = Fetched | Short | HeldBack | Seen | Moved | NotDone;

/** Units that are wanted in a row. */
export interface Wish {
  readonly sku_id: string;
  readonly to: RowPlace;
  /** None: that rows are filled up and emptied, and no more. */
  readonly units: number;
  /** Only wants to know what all rows have. */
  readonly isLook?: boolean;
  /** Whether units that are held may yet be had. */
  readonly waitsForHolds: boolean;
}

/** A wish until it is answered, at its deadline at the latest. */
export class Ask {
  readonly wish: Wish;
  readonly deadlineMs: DeadlineMs;
  /** What left its row for it so far. */
  credits: readonly Transfer[] = [];
  /** Whether all rows have been looked at for it. */
  wasSeen = false;
  readonly #resolve: (gathered: Gathered) => void;
  readonly #timer: NodeJS.Timeout;
  #isOver = false;

  constructor(wish: Wish, deadlineMs: DeadlineMs, resolve: (gathered: Gathered) => void) {
    this.wish = wish;
    this.deadlineMs = deadlineMs;
    this.#resolve = resolve;
    this.#timer = setTimeout(
      () => this.tell({ is: 'not_done', reason: 'what was wanted could not be brought in time' }),
      Math.max(0, deadlineMs - performance.now()),
    );
  }

  /** Whether it has been answered: what is fetched for it now is nobody's. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** What is still to be fetched. */
  get lack(): number {
    return this.wish.units - sumUnits(this.credits.map(({ amount }) => amount));
  }

  /** The first answer counts. */
  tell(gathered: Gathered): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#resolve(gathered);
  }
}

/** Whose own row has enough by now tries it once more, without anything fetched. @returns the others */
export function sendAgain(asks: readonly Ask[], rows: readonly RowState[]): Ask[] {
  const leaved = new Map(rows.map((row) => [placeText(row), row.sellable_amount]));
  return asks.filter((ask) => {
    const { units, to } = ask.wish;
    const left = (leaved.get(placeText(to)) ?? 0) - units;
    if (units === 0 || ask.credits.length > 0 || left < 0) return true;
    leaved.set(placeText(to), left);
    ask.tell({ is: 'fetched', credits: [] });
    return false;
  });
}

function placeText({ shard, sub_row }: RowPlace): string {
  return `${shard} ${sub_row}`;
}
