import { flowKeyText } from '../../src/core/nouns.ts';
import { SlotMap } from '../../src/core/slots.ts';
import { boundsOf } from './bounds.ts';
import type { AdjustmentSent, DeductionSent, Entry, FinalState, FlowRow } from './history.ts';

/** A broken promise: the invariant of the design that it breaks, and the story in one sentence. */
export interface Violation {
  readonly invariant: string;
  readonly what: string;
}

const SHARDS = 16;

/**
 * Holds what clients were told against what stands in the databases. Every rule is one function below; planted bugs
 * (`test/planted/`) show that each can fail.
 */
export function check(history: readonly Entry[], final: FinalState): Violation[] {
  const deductions = history.filter((entry): entry is DeductionSent => entry.kind === 'deduction');
  const adjustments = history.filter((entry): entry is AdjustmentSent => entry.kind === 'adjustment');
  return [
    ...rowsBalance(final),
    ...flowsOnce(final),
    ...doneStands(deductions, adjustments, final),
    ...refusedHasNoEffect(deductions, adjustments, final),
    ...replaysAreAnswered(deductions),
    ...refusalsAreTrue(history),
    ...ordersAreWhole(deductions, final),
    ...lookupsAreTrue(history, deductions, final),
    ...numbersWerePossible(history, final),
  ];
}

function violation(invariant: string, what: string): Violation {
  return { invariant, what };
}

/** I1: opening + adjusted - deducted = left, and nothing is below zero. */
function rowsBalance({ opening, left, flows, adjustments }: FinalState): Violation[] {
  const expected = new Map(opening);
  for (const { sku_id, delta } of adjustments) expected.set(sku_id, (expected.get(sku_id) ?? 0) + delta);
  for (const { sku_id, quantity } of flows) expected.set(sku_id, (expected.get(sku_id) ?? 0) - quantity);
  return [...expected].flatMap(([sku_id, units]) => {
    const standing = left.get(sku_id);
    return standing === units && units >= 0 ? [] : [violation('I1', `${sku_id}: ${standing} left, its journal says ${units}`)];
  });
}

/** I2: one flow per key over all shards, on the shard that owns it. */
function flowsOnce({ flows }: FinalState): Violation[] {
  const map = new SlotMap(SHARDS);
  const seen = new Set<string>();
  return flows.flatMap((flow) => {
    const key = flowKeyText(flow);
    const found: Violation[] = [];
    if (seen.has(key)) found.push(violation('I2', `${nameOf(flow)}: two flows`));
    if (map.shardOf(flow.sku_id) !== flow.shard) found.push(violation('I2', `${nameOf(flow)}: on shard ${flow.shard}, which does not own it`));
    seen.add(key);
    return found;
  });
}

/** I3: what was answered "done" stands, as it was sent. */
function doneStands(deductions: readonly DeductionSent[], adjustments: readonly AdjustmentSent[], final: FinalState): Violation[] {
  const flows = byKey(final.flows);
  const adjusted = new Map(final.adjustments.map((row) => [adjustmentKey(row), row.delta]));
  const lostLines = deductions
    .filter(({ verdict }) => verdict === 'done')
    .flatMap(({ order_id, lines }) =>
      lines.filter((line) => {
        const flow = flows.get(flowKeyText(line));
        return flow?.order_id !== order_id || flow.quantity !== line.quantity;
      }),
    );
  const lostAdjustments = adjustments.filter((sent) => sent.verdict === 'done' && adjusted.get(adjustmentKey(sent)) !== sent.delta);
  return [
    ...lostLines.map((line) => violation('I3', `${nameOf(line)}: answered done, and is lost`)),
    ...lostAdjustments.map(({ adjustment_id }) => violation('I3', `${adjustment_id}: answered done, and is lost`)),
  ];
}

/** I4: what stands was answered "done" or not answered; ids of which every sending was refused or undone stand nowhere. */
function refusedHasNoEffect(deductions: readonly DeductionSent[], adjustments: readonly AdjustmentSent[], final: FinalState): Violation[] {
  const possible = new Set([
    ...deductions.filter(mayStand).flatMap(({ lines }) => lines.map(flowKeyText)),
    ...adjustments.filter(mayStand).map(adjustmentKey),
  ]);
  return [
    ...final.flows.filter((flow) => !possible.has(flowKeyText(flow))).map((flow) => violation('I4', `${nameOf(flow)}: stands, though every sending was refused`)),
    ...final.adjustments
      .filter((row) => !possible.has(adjustmentKey(row)))
      .map(({ adjustment_id }) => violation('I4', `${adjustment_id}: stands, though every sending was refused`)),
  ];
}

/** I5: once ids were answered "done", whoever sends them again later is told so too, and that it is a replay. */
function replaysAreAnswered(deductions: readonly DeductionSent[]): Violation[] {
  const doneAtMs = new Map<string, number>();
  for (const { lines, endedMs } of deductions.filter(({ verdict }) => verdict === 'done')) {
    for (const line of lines) doneAtMs.set(flowKeyText(line), Math.min(endedMs, doneAtMs.get(flowKeyText(line)) ?? Infinity));
  }
  return deductions.flatMap((sent) => {
    const all = sent.lines.every((line) => (doneAtMs.get(flowKeyText(line)) ?? Infinity) < sent.invokedMs);
    if (!all || sent.verdict === 'undone' || sent.verdict === 'unknown') return [];
    const isReplay = sent.verdict === 'done' && sent.replayed === true;
    return isReplay ? [] : [violation('I5', `${sent.order_id}: done before, then answered ${sent.code ?? 'as new'}`)];
  });
}

/** Everything that is asked for was opened, with ids of one meaning: lack of stock is the only true reason to refuse. */
function refusalsAreTrue(history: readonly Entry[]): Violation[] {
  return history.flatMap(({ kind, verdict, code }) => {
    const isTrue = verdict !== 'refused' || code === 'insufficient_stock';
    return isTrue && verdict !== 'breach' ? [] : [violation('contract', `a ${kind} was answered ${code}`)];
  });
}

/** I7: of an order's lines all stand or none. */
function ordersAreWhole(deductions: readonly DeductionSent[], final: FinalState): Violation[] {
  const flows = byKey(final.flows);
  return deductions.flatMap(({ order_id, lines }) => {
    const standing = lines.filter((line) => flows.has(flowKeyText(line))).length;
    return standing === 0 || standing === lines.length ? [] : [violation('I7', `${order_id}: ${standing} of ${lines.length} lines stand`)];
  });
}

/** A look-up never denies what was done before it was asked, nor finds what never was. */
function lookupsAreTrue(history: readonly Entry[], deductions: readonly DeductionSent[], final: FinalState): Violation[] {
  const flows = byKey(final.flows);
  const doneBefore = (key: string, ms: number): boolean =>
    deductions.some((sent) => sent.verdict === 'done' && sent.endedMs < ms && sent.lines.some((line) => flowKeyText(line) === key));
  return history.flatMap((entry) => {
    if (entry.kind !== 'lookup' || entry.stands === null) return [];
    const key = flowKeyText(entry.line);
    if (entry.stands && !flows.has(key)) return [violation('I4', `${nameOf(entry.line)}: found, and later gone`)];
    if (!entry.stands && doneBefore(key, entry.invokedMs)) return [violation('I5', `${nameOf(entry.line)}: done, and then not found`)];
    return [];
  });
}

/** I8: whoever was told that too little is left, or what is left, was told something that was so while he asked. */
function numbersWerePossible(history: readonly Entry[], final: FinalState): Violation[] {
  const bounds = boundsOf(history, final);
  return history.flatMap((entry) => {
    if (entry.kind === 'read' && entry.leaved_amount !== null) {
      const { least, most } = bounds(entry.sku_id, entry.invokedMs, entry.endedMs);
      const fits = least <= entry.leaved_amount && entry.leaved_amount <= most;
      return fits ? [] : [violation('I8', `${entry.sku_id}: read ${entry.leaved_amount}, possible were ${least} to ${most}`)];
    }
    if (entry.kind !== 'deduction' || entry.code !== 'insufficient_stock') return [];
    return [...entry.left].flatMap(([sku_id, told]) => {
      const asked = entry.lines.filter((line) => line.sku_id === sku_id).reduce((sum, { quantity }) => sum + quantity, 0);
      const { least, most } = bounds(sku_id, entry.invokedMs, entry.endedMs);
      const fits = least < asked && told < asked && least <= told && told <= most;
      return fits ? [] : [violation('I8', `${entry.order_id}: refused ${asked} of ${sku_id} and told ${told}, of which ${least} to ${most} were left`)];
    });
  });
}

function mayStand({ verdict }: { readonly verdict: string }): boolean {
  return verdict === 'done' || verdict === 'unknown';
}

function byKey(flows: readonly FlowRow[]): Map<string, FlowRow> {
  return new Map(flows.map((flow) => [flowKeyText(flow), flow]));
}

function adjustmentKey({ sku_id, adjustment_id }: { readonly sku_id: string; readonly adjustment_id: string }): string {
  return `${sku_id}\0adjustment\0${adjustment_id}`;
}

function nameOf({ sku_id, order_detail_id }: { readonly sku_id: string; readonly order_detail_id: string }): string {
  return `${order_detail_id} of ${sku_id}`;
}
