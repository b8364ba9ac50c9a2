import { flowKeyText, shelfKeyText } from '../../core/nouns.ts';
import type { DeadlineMs, RowRef, ShardIndex, Transfer } from '../../core/nouns.ts';
import type { Adjust, Deduct, HoldLines } from '../../core/operation.ts';
import { refused, refusedLines } from '../../core/outcome.ts';
import type { NotDone, OutcomeOf, Pending, Refused, RefusedLine } from '../../core/outcome.ts';
import { applyOperation } from '../applyOperation.ts';
import type { Parts } from '../parts.ts';
import { collect } from './collect.ts';
import type { Gathered, Wish } from './gatherer.ts';
import { receiveAll, settleAll } from './transfers.ts';

/** For what goes on behind the answer. */
const AFTER_MS = 2_000;

type Fundable = Deduct | HoldLines | Adjust;

/**
 * Carries out what takes units on one shard. What a row of a split SKU lacks is fetched from the others, and comes in together
 * with what takes it; "sold out" is said only when all rows together have too little.
 */
export async function applyFunded<O extends Fundable>(parts: Parts, shard: ShardIndex, operation: O, deadlineMs: DeadlineMs): Promise<OutcomeOf<O>> {
  const first = await applyOperation(parts.engine, shard, operation, deadlineMs);
  if (first.is !== 'refused' || first.code !== 'insufficient_stock') return first;
  return (await new Funding(parts, shard, operation, deadlineMs).fund(first)) as OutcomeOf<O>;
}

class Funding {
  readonly #parts: Parts;
  readonly #shard: ShardIndex;
  readonly #operation: Fundable;
  readonly #deadlineMs: DeadlineMs;
  #credits: readonly Transfer[] = [];

  constructor(parts: Parts, shard: ShardIndex, operation: Fundable, deadlineMs: DeadlineMs) {
    this.#parts = parts;
    this.#shard = shard;
    this.#operation = operation;
    this.#deadlineMs = deadlineMs;
  }

  async fund(refusal: Refused): Promise<OutcomeOf<Fundable>> {
    for (let last = refusal; ; ) {
      const wishes = this.#wishesOf(last);
      // A row like any other: it is the only one.
      if (wishes.length === 0) return last;
      if (this.#isHopeless(last)) return this.#end(await this.#lookOnly(last));
      const gathered = await Promise.all(wishes.map((wish) => this.#parts.hot.gatherer.gather(wish, this.#deadlineMs)));
      this.#credits = [...this.#credits, ...gathered.flatMap((each) => (each.is === 'fetched' ? each.credits : []))];
      const failure = this.#failureOf(last, wishes, gathered);
      if (failure !== null) return this.#end(failure);
      const funded: Fundable = { ...this.#operation, credits: this.#credits };
      const outcome = await applyOperation<Fundable>(this.#parts.engine, this.#shard, funded, this.#deadlineMs);
      if (outcome.is !== 'refused' || outcome.code !== 'insufficient_stock') return this.#end(outcome);
      last = outcome;
    }
  }

  /** What every row lacks that was too short; of one that got credits before, all that it is to take beside them. */
  #wishesOf(refusal: Refused): Wish[] {
    const wishes = new Map<string, Wish>();
    for (const { sku_id, row, quantity } of this.#linesOf(refusal)) {
      if (row === undefined) continue;
      const key = shelfKeyText(sku_id, row.sub_row);
      const units = quantity + (wishes.get(key)?.units ?? 0);
      wishes.set(key, { sku_id, to: { shard: this.#shard, sub_row: row.sub_row }, units, waitsForHolds: this.#operation.kind !== 'adjust' });
    }
    return [...wishes.values()].map((wish) => ({ ...wish, units: wish.units - this.#creditedTo(wish) })).filter(({ units }) => units > 0);
  }

  #creditedTo({ sku_id, to }: Wish): number {
    return this.#credits.reduce((sum, credit) => (credit.sku_id === sku_id && credit.to.sub_row === to.sub_row ? sum + credit.amount : sum), 0);
  }

  #linesOf({ lines }: Refused): { readonly sku_id: string; readonly row?: RowRef; readonly quantity: number }[] {
    if (this.#operation.kind === 'adjust') {
      const { sku_id, row, delta } = this.#operation;
      return [{ sku_id, quantity: -delta, ...(row === undefined ? {} : { row }) }];
    }
    const refusedKeys = new Set(lines.map(flowKeyText));
    return this.#operation.lines.filter((line) => refusedKeys.has(flowKeyText(line)));
  }

  /** Whether a line is refused that no other row can help. */
  #isHopeless(refusal: Refused): boolean {
    return this.#linesOf(refusal).some(({ row }) => row === undefined);
  }

  /** The same refusal, without lines that the SKU's other rows could serve. */
  async #lookOnly(refusal: Refused): Promise<Refused | NotDone> {
    const lines: RefusedLine[] = [];
    for (const line of refusal.lines) {
      const layout = this.#parts.hot.layouts.known(line.sku_id);
      const state = layout === null ? null : await collect(this.#parts.hot.rows, layout, this.#deadlineMs);
      if (state === null) lines.push(line);
      else if (line.quantity > state.leaved) lines.push({ ...line, leaved_amount: state.leaved });
    }
    return refusedLines(lines);
  }

  #failureOf(refusal: Refused, wishes: readonly Wish[], gathered: readonly Gathered[]): Refused | Pending | NotDone | null {
    const failed = gathered.find((each): each is NotDone => each.is === 'not_done');
    if (failed !== undefined) return failed;
    const short = new Map<string, number>();
    gathered.forEach((each, place) => {
      const wish = wishes[place];
      if (each.is === 'short' && wish !== undefined) short.set(shelfKeyText(wish.sku_id, wish.to.sub_row), each.leaved_amount);
    });
    if (short.size > 0) {
      if (this.#operation.kind === 'adjust') return refused('insufficient_stock');
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

  /** What was fetched has come in with the operation, or is put back; its senders are told behind the answer. */
  #end<T extends { readonly is: string }>(outcome: T): T {
    const credits = this.#credits;
    if (credits.length === 0) return outcome;
    const { hot, afterwork } = this.#parts;
    const isIn = outcome.is === 'deducted' || outcome.is === 'held' || outcome.is === 'applied';
    afterwork.add(() => (isIn ? settleAll(hot, credits, performance.now() + AFTER_MS) : receiveAll(hot, credits, performance.now() + AFTER_MS)));
    return outcome;
  }
}
