import { compareIdentifiers } from '../../core/identifier.ts';
import { flowKeyText } from '../../core/nouns.ts';
import type { Flow, Line } from '../../core/nouns.ts';
import { skusOf } from '../../core/operation.ts';
import type { Deduct } from '../../core/operation.ts';
import { refusedLines } from '../../core/outcome.ts';
import type { DeductOutcome, DeductedLine, RefusedLine } from '../../core/outcome.ts';
import { judgeStanding } from '../../core/standing.ts';
import { Raced } from '../failures.ts';
import type { Change } from '../settle.ts';
import { insertFlows } from '../sql/insertFlows.ts';
import { lockFlows } from '../sql/lockFlows.ts';
import { ownSlots } from '../sql/ownSlots.ts';
import { readLeft } from '../sql/readLeft.ts';
import { takeStock } from '../sql/takeStock.ts';
import type { Transaction } from '../transaction.ts';

/**
 * Flow first, stock last: repeated ids are known before stock is touched, and a hot row stays locked for one statement
 * and a COMMIT. Everything is locked in the order of its bytes, so that two orders with the same goods wait for each
 * other instead of against each other.
 */
export function deduct(operation: Deduct): Change<DeductOutcome> {
  const lines = [...operation.lines].sort(
    (a, b) => compareIdentifiers(a.sku_id, b.sku_id) || compareIdentifiers(a.order_detail_id, b.order_detail_id),
  );
  /** What the last attempt wanted to say when it sent COMMIT. */
  let intended: { fresh: readonly Line[]; outcome: DeductOutcome } | null = null;

  return {
    async attempt(transaction) {
      if (!(await ownSlots(transaction, skusOf(operation)))) return { keep: false, value: { is: 'not_mine' } };
      const { fresh, standing } = await writeFlows(transaction, operation.order_id, lines);
      const refusals = [
        ...refuseStanding(operation.order_id, lines, standing),
        ...(await takeEach(transaction, fresh)),
      ];
      if (refusals.length > 0) return { keep: false, value: refusedLines(inOrderOf(operation.lines, refusals)) };
      const outcome = deducted(operation.lines, standing);
      intended = { fresh, outcome };
      return { keep: fresh.length > 0, value: outcome };
    },

    async recall(transaction) {
      if (intended === null) return null;
      const standing = await lockFlows(transaction, intended.fresh);
      const stands = intended.fresh.every((line) => {
        const flow = standing.get(flowKeyText(line));
        return flow !== undefined && judgeStanding(operation.order_id, line, flow) === 'replay';
      });
      return stands ? intended.outcome : null;
    },
  };
}

/** Writes the flows that are new and finds those that stand. */
async function writeFlows(
  transaction: Transaction,
  order_id: string,
  lines: readonly Line[],
): Promise<{ fresh: readonly Line[]; standing: ReadonlyMap<string, Flow> }> {
  if (await insertFlows(transaction, order_id, lines)) return { fresh: lines, standing: new Map() };
  const standing = await lockFlows(transaction, lines);
  const fresh = lines.filter((line) => !standing.has(flowKeyText(line)));
  if (fresh.length > 0 && !(await insertFlows(transaction, order_id, fresh))) {
    throw new Raced('another transaction wrote one of the ids between two statements');
  }
  return { fresh, standing };
}

function refuseStanding(order_id: string, lines: readonly Line[], standing: ReadonlyMap<string, Flow>): RefusedLine[] {
  return lines.flatMap((line) => {
    const flow = standing.get(flowKeyText(line));
    const verdict = flow === undefined ? 'replay' : judgeStanding(order_id, line, flow);
    return verdict === 'replay' ? [] : [{ ...line, code: verdict }];
  });
}

/** Takes the stock of all lines, one statement per SKU, and names every line that cannot be served. */
async function takeEach(transaction: Transaction, lines: readonly Line[]): Promise<RefusedLine[]> {
  const refusals: RefusedLine[] = [];
  for (const [sku_id, ofSku] of bySku(lines)) {
    const units = ofSku.reduce((sum, line) => sum + line.quantity, 0);
    if (await takeStock(transaction, sku_id, units)) continue;
    const leaved_amount = await readLeft(transaction, sku_id);
    if (leaved_amount !== null && leaved_amount >= units) throw new Raced('stock came in between two statements');
    for (const line of ofSku) {
      refusals.push(
        leaved_amount === null
          ? { ...line, code: 'unknown_sku' }
          : { ...line, code: 'insufficient_stock', leaved_amount },
      );
    }
  }
  return refusals;
}

/** Sorted lines stay sorted: a Map keeps the order of its first insertions. */
function bySku(lines: readonly Line[]): Map<string, Line[]> {
  const groups = new Map<string, Line[]>();
  for (const line of lines) {
    const group = groups.get(line.sku_id);
    if (group === undefined) groups.set(line.sku_id, [line]);
    else group.push(line);
  }
  return groups;
}

function deducted(lines: readonly Line[], standing: ReadonlyMap<string, Flow>): DeductOutcome {
  const answered = lines.map((line): DeductedLine => {
    const flow = standing.get(flowKeyText(line));
    return { ...line, replayed: flow !== undefined, returned: flow?.returned ?? 0 };
  });
  return { is: 'deducted', lines: answered };
}

function inOrderOf(lines: readonly Line[], refusals: readonly RefusedLine[]): RefusedLine[] {
  const byKey = new Map(refusals.map((refusal) => [flowKeyText(refusal), refusal]));
  return lines.flatMap((line) => byKey.get(flowKeyText(line)) ?? []);
}
