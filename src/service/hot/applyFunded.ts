import { flowKeyText, shelfKeyText } from '../../core/nouns.ts';
import type { DeadlineMs, RowRef, ShardIndex, Transfer } from '../../core/nouns.ts';
import { namesRow } from '../../core/operation.ts';
import type { Adjust, Deduct, HoldLines } from '../../core/operation.ts';
import { refused, refusedLines } from '../../core/outcome.ts';
import type { Moved, NotDone, OutcomeOf, Pending, Refused, RefusedLine } from '../../core/outcome.ts';
import { applyOperation } from '../applyOperation.ts';
import type { Parts } from '../parts.ts';
import type { Gathered, Wish } from './ask.ts';
import { receiveAll } from './transfers.ts';
import { readWholeStock } from './wholeStock.ts';

/** For what goes on behind the answer. */
const AFTER_MS = 2_000;

type Fundable = Deduct | HoldLines | Adjust;

/** What operations are funded with. */
export type FundingParts = Pick<Parts, 'engine' | 'hot' | 'afterwork'>;

/**
 * Carries out what takes units on one shard. What a row of a split SKU lacks is fetched from the others, and comes in together
 * with what takes it; "sold out" is said only when all rows together have too little.
 */
export async function applyFunded<O extends Fundable>(
  parts: FundingParts,
  shard: ShardIndex,
  operation: O,
  deadlineMs: DeadlineMs,
): Promise<OutcomeOf<O>> {
  const first = await applyOperation(parts.engine, shard, operation, deadlineMs);
  if (first.is !== 'refused' || !isShort(operation, first)) return first;
  return (await new Funding(parts, shard, operation, deadlineMs).fund(first)) as OutcomeOf<O>;
}

/** Whether one of many rows has too little, whatever else stands in the way. */
function isShort(operation: Fundable, { code, lines }: Refused): boolean {
  return (
    namesRow(operation) && (code === 'insufficient_stock' || lines.some((line) => line.code === 'insufficient_stock'))
  );
}

class Funding {
  readonly #parts: FundingParts;
  readonly #shard: ShardIndex;
  readonly #operation: Fundable;
  readonly #deadlineMs: DeadlineMs;

  constructor(parts: FundingParts, shard: ShardIndex, operation: Fundable, deadlineMs: DeadlineMs) {
    this.#parts = parts;
    this.#shard = shard;
    this.#operation = operation;
    this.#deadlineMs = deadlineMs;
  }

  async fund(refusal: Refused): Promise<OutcomeOf<Fundable>> {
    for (let last = refusal; ;) {
      if (this.#isHopeless(last)) return this.#lookOnly(last);
      const wishes = this.#wishesOf(last);
      const gathered = await Promise.all(wishes.map((wish) => this.#parts.hot.gatherer.gather(wish, this.#deadlineMs)));
      const credits = gathered.flatMap((each) => (each.is === 'fetched' ? each.credits : []));
      const failure = this.#failureOf(last, wishes, gathered);
      if (failure !== null) return this.#end(failure, credits);
      const outcome = await applyOperation<Fundable>(
        this.#parts.engine,
        this.#shard,
        { ...this.#operation, credits },
        this.#deadlineMs,
      );
      if (outcome.is !== 'refused' || outcome.code !== 'insufficient_stock') return this.#end(outcome, credits);
      // Somebody else brought them in, and they were sold: everything is to be fetched anew.
      await receiveAll(this.#parts.hot, credits, this.#deadlineMs);
      last = outcome;
    }
  }

  /** What every row that was too short is to give. */
  #wishesOf(refusal: Refused): Wish[] {
    const wishes = new Map<string, Wish>();
    for (const { sku_id, row, quantity } of this.#linesOf(refusal)) {
      if (row === undefined) continue;
      const key = shelfKeyText(sku_id, row.sub_row);
      const units = quantity + (wishes.get(key)?.units ?? 0);
      wishes.set(key, {
        sku_id,
        to: { shard: this.#shard, sub_row: row.sub_row },
        units,
        waitsForHolds: this.#operation.kind !== 'adjust',
      });
    }
    return [...wishes.values()];
  }

  #linesOf({ lines }: Refused): { readonly sku_id: string; readonly row?: RowRef; readonly quantity: number }[] {
    if (this.#operation.kind === 'adjust') {
      const { sku_id, row, delta } = this.#operation;
      return [{ sku_id, quantity: -delta, ...(row === undefined ? {} : { row }) }];
    }
    const refusedKeys = new Set(lines.filter(({ code }) => code === 'insufficient_stock').map(flowKeyText));
    return this.#operation.lines.filter((line) => refusedKeys.has(flowKeyText(line)));
  }

  /** Whether a line is refused that no other row can help. */
  #isHopeless(refusal: Refused): boolean {
    return refusal.code !== 'insufficient_stock' || this.#linesOf(refusal).some(({ row }) => row === undefined);
  }

  /** The same refusal, without lines that the SKU's other rows could serve. */
  async #lookOnly(refusal: Refused): Promise<Refused | NotDone> {
    const lines: RefusedLine[] = [];
    for (const line of refusal.lines) {
      const isOneOfMany =
        this.#operation.kind !== 'adjust' &&
        this.#operation.lines.some((own) => own.row !== undefined && flowKeyText(own) === flowKeyText(line));
      const layout =
        line.code === 'insufficient_stock' && isOneOfMany ? this.#parts.hot.layouts.known(line.sku_id) : null;
      const state = layout === null ? null : await readWholeStock(this.#parts.hot, layout, this.#deadlineMs);
      if (state === null) lines.push(line);
      else if ('is' in state) return state;
      else if (state.fault !== null) return { is: 'not_done', reason: state.fault };
      else if (line.quantity > state.sellable) lines.push({ ...line, leaved_amount: state.sellable });
    }
    return refusedLines(lines);
  }

  #failureOf(
    refusal: Refused,
    wishes: readonly Wish[],
    gathered: readonly Gathered[],
  ): Refused | Pending | NotDone | Moved | null {
    const moved = gathered.find((each): each is Moved => each.is === 'moved');
    if (moved !== undefined) return moved;
    const failed = gathered.find((each): each is NotDone => each.is === 'not_done');
    if (failed !== undefined) return failed;
    const short = new Map<string, number>();
    gathered.forEach((each, place) => {
      const wish = wishes[place];
      if (each.is === 'short' && wish !== undefined)
        short.set(shelfKeyText(wish.sku_id, wish.to.sub_row), each.leaved_amount);
    });
    if (short.size > 0) {
      if (this.#operation.kind === 'adjust') {
        const lying = Math.max(...gathered.map((each) => (each.is === 'short' ? each.lying_amount : 0)));
        if (lying < -this.#operation.delta) return { ...refused('insufficient_stock'), leaved_amount: lying };
        return { is: 'not_done', reason: 'what came in lately cannot leave its row yet' };
      }
      const rows = new Map(this.#operation.lines.map((line) => [flowKeyText(line), line.row?.sub_row ?? 0]));
      return refusedLines(
        refusal.lines.flatMap((line) => {
          const leaved_amount = short.get(shelfKeyText(line.sku_id, rows.get(flowKeyText(line)) ?? 0));
          return leaved_amount === undefined ? [] : [{ ...line, leaved_amount }];
        }),
      );
    }
    const holds = gathered.flatMap((each) => (each.is === 'pending' ? each.holds : []));
    return holds.length > 0 ? { is: 'pending', holds } : null;
  }

  /** What was fetched has come in with the operation, or comes in now, and its senders are told; behind the answer. */
  #end<T extends { readonly is: string }>(outcome: T, credits: readonly Transfer[]): T {
    const { hot, afterwork } = this.#parts;
    if (credits.length > 0) afterwork.add(() => receiveAll(hot, credits, performance.now() + AFTER_MS));
    return outcome;
  }
}
