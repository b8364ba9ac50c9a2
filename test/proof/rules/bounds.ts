import type { RoundBooks } from './books.ts';
import { flowKey, groupBy, isCart, openingKey, overAtMs } from './effects.ts';
import { NOT_SENT } from '../history.ts';
import type { LineKey } from '../history.ts';

/** The earliest and the latest moment at which an effect that is stored in the end can have happened. */
interface Span {
  readonly key: string;
  readonly change: number;
  readonly earliestMs: number;
  readonly latestMs: number;
}

type OfSku = Span & { readonly sku_id: string };

/** The interval in which an order over several shards may have held units, however the order ended. */
interface Held {
  readonly key: string;
  readonly sku_id: string;
  readonly quantity: number;
  readonly fromMs: number;
  readonly untilMs: number;
}

interface Range {
  readonly least: number;
  readonly most: number;
}

type Left = Range & { readonly leastUnheld: number };

/** The numbers that were possible at some moment of an interval. */
export interface Bounds {
  /** Units left of a SKU. `leastUnheld` is `least` minus the units that carts may have held and never sold. */
  left(sku_id: string, fromMs: number, untilMs: number): Left;
  /**
   * Units that a buyer could get of a split SKU where tiers are on. New units may have entered an empty row, and then
   * count only later.
   */
  leftToBuy(sku_id: string, fromMs: number, untilMs: number): Left;
  /** Whether a SKU, once opened, can have had no units left and none held at some moment. */
  canHaveBeenEmpty(sku_id: string, fromMs: number, untilMs: number): boolean;
  /** Units of a deduction that could still be returned. */
  returnable(line: LineKey, fromMs: number, untilMs: number): Range;
}

/**
 * An aborted cart releases its units when it is answered. Where a gateway died, a sweeper releases them 5 s after the
 * cart record was written; the sweeper of each gateway runs every second. The rest is a margin for a busy machine.
 */
const HELD_MS_MAX = 10_000;

/**
 * I8: where tiers are on, units that entered an empty row can be sold at the latest this long after a client was
 * answered. The product needs one second (`SELLABLE_AFTER_MS`).
 */
export const SELLABLE_MS_MAX = 2_000;

/**
 * Computes the numbers of units that were possible for each SKU at any time. An effect happens between the first
 * sending of its ids and the first answer that reported it; without such an answer, at any time after the first
 * sending.
 */
export function boundsOf(books: RoundBooks): Bounds {
  const spans = spansOf(books);
  const bySku = groupBy(spans, ({ sku_id }) => [sku_id]);
  const byFlow = groupBy(
    spans.flatMap(({ rest, ...span }) => (rest === null ? [] : [{ ...span, change: rest.change, flow: rest.flow }])),
    ({ flow }) => [flow],
  );
  const heldBySku = groupBy(heldOf(books), ({ sku_id }) => [sku_id]);
  return {
    left: (sku_id, fromMs, untilMs) => leftOf(bySku.get(sku_id) ?? [], heldBySku.get(sku_id) ?? [], fromMs, untilMs),
    leftToBuy: (sku_id, fromMs, untilMs) => {
      const late = (bySku.get(sku_id) ?? []).map((span) =>
        isNewUnits(span) ? { ...span, latestMs: span.latestMs + SELLABLE_MS_MAX } : span,
      );
      return leftOf(late, heldBySku.get(sku_id) ?? [], fromMs, untilMs);
    },
    canHaveBeenEmpty: (sku_id, fromMs, untilMs) => {
      const ofSku = bySku.get(sku_id) ?? [];
      const opening = ofSku.find(isOpening);
      // A SKU that is not open yet has no row that could be empty.
      if (opening === undefined || opening.earliestMs > untilMs) return false;
      const opened = ofSku.map((span) => (isOpening(span) ? { ...span, latestMs: span.earliestMs } : span));
      return leftOf(opened, [], Math.max(fromMs, opening.earliestMs), untilMs).least <= 0;
    },
    returnable: (line, fromMs, untilMs) => {
      const ofFlow = byFlow.get(flowKey(line)) ?? [];
      return rangeOf(ofFlow, momentsOf(ofFlow.flatMap(timesOf), fromMs, untilMs));
    },
  };
}

function leftOf(spans: readonly Span[], held: readonly Held[], fromMs: number, untilMs: number): Left {
  const moments = momentsOf([...spans.flatMap(timesOf), ...held.map((hold) => hold.fromMs)], fromMs, untilMs);
  return {
    ...rangeOf(spans, moments),
    leastUnheld: Math.min(...moments.map((ms) => sumAt(spans, ms, true) - heldAt(held, spans, ms))),
  };
}

/** A restock, a return or a cancellation. An opening creates a row, whose units can be sold at once. */
function isNewUnits(span: OfSku): boolean {
  return span.change > 0 && !isOpening(span);
}

function isOpening({ key, sku_id }: OfSku): boolean {
  return key === openingKey(sku_id);
}

function rangeOf(spans: readonly Span[], moments: readonly number[]): Range {
  return {
    least: Math.min(...moments.map((ms) => sumAt(spans, ms, true))),
    most: Math.max(...moments.map((ms) => sumAt(spans, ms, false))),
  };
}

function sumAt(spans: readonly Span[], ms: number, isLess: boolean): number {
  return spans.reduce((sum, { change, earliestMs, latestMs }) => {
    // For the least, decreases count from their earliest moment and increases from their latest; for the most, vice
    // versa.
    const countsFromMs = change < 0 === isLess ? earliestMs : latestMs;
    return countsFromMs <= ms ? sum + change : sum;
  }, 0);
}

/** Units that carts may hold at a moment, without those that count as sold. A line is held once at a time. */
function heldAt(held: readonly Held[], spans: readonly Span[], ms: number): number {
  const sold = new Set(spans.filter(({ earliestMs }) => earliestMs <= ms).map(({ key }) => key));
  const units = new Map<string, number>();
  for (const { key, quantity, fromMs, untilMs } of held) {
    if (fromMs <= ms && ms <= untilMs && !sold.has(key)) units.set(key, Math.max(quantity, units.get(key) ?? 0));
  }
  return [...units.values()].reduce((sum, quantity) => sum + quantity, 0);
}

function momentsOf(times: readonly number[], fromMs: number, untilMs: number): number[] {
  return [fromMs, untilMs, ...times.filter((ms) => fromMs <= ms && ms <= untilMs)];
}

function timesOf({ earliestMs, latestMs }: Span): number[] {
  return [earliestMs, latestMs];
}

function spansOf({ sent, reported: known, stored }: RoundBooks) {
  return [...stored.values()].map(({ key, content, sku_id, change, rest }) => {
    const sendings = (sent.get(key) ?? []).filter(({ verdict }) => verdict === 'done' || verdict === 'unknown');
    const reported = (known.get(key) ?? []).filter(({ effect }) => effect.content === content);
    return {
      key,
      sku_id,
      change,
      rest,
      earliestMs: Math.min(Infinity, ...sendings.map(({ invokedMs }) => invokedMs)),
      latestMs: Math.min(Infinity, ...reported.map(({ atMs }) => atMs)),
    };
  });
}

function heldOf({ writes, split, repairedMs }: RoundBooks): Held[] {
  return writes.flatMap((write) => {
    if (write.kind !== 'deduction' || write.code === NOT_SENT || !isCart(write.lines, split)) return [];
    const overMs = overAtMs(write);
    // Units on a server that does not answer stay held.
    const untilMs = Math.max(overMs, repairedMs) + HELD_MS_MAX;
    return write.lines.map((line) => ({
      key: flowKey(line),
      sku_id: line.sku_id,
      quantity: line.quantity,
      fromMs: write.invokedMs,
      untilMs,
    }));
  });
}
