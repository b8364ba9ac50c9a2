import { flowKeyText } from '../../src/core/nouns.ts';
import type { Flow, Line } from '../../src/core/nouns.ts';

/** What is sold together or not at all. */
export interface Cart {
  readonly order_id: string;
  readonly lines: readonly Line[];
}

/** A cart and what its shop was told of it. */
export interface JudgedCart {
  readonly cart: Cart;
  /** `unclear`: the answer was none that may come; it must be whole all the same. */
  readonly verdict: 'sold' | 'refused' | 'unclear';
}

/** A line that stands: what the journal says of it. */
export type StandingFlow = Pick<Flow, 'order_id' | 'quantity' | 'returned' | 'status'>;

/** What stands, by `flowKeyText`. Undone holds are not in it. */
export type StandingFlows = ReadonlyMap<string, StandingFlow>;

/**
 * Holds every cart against the journal: of one that was sold all lines stand as they were sent, of one that was refused
 * none does.
 *
 * @param returned units that came back, by `flowKeyText`
 * @returns every contradiction in a sentence
 */
export function cartFaults(
  judged: readonly JudgedCart[],
  flows: StandingFlows,
  returned: ReadonlyMap<string, number>,
): string[] {
  return judged.flatMap(({ cart, verdict }) => {
    const count = cart.lines.filter((line) => flows.has(flowKeyText(line))).length;
    const all = cart.lines.length;
    if (verdict === 'refused')
      return count === 0 ? [] : [`order ${cart.order_id}: refused, but ${count} of its ${all} lines stand`];
    if (verdict === 'unclear')
      return count === 0 || count === all ? [] : [`order ${cart.order_id}: ${count} of its ${all} lines stand`];
    if (count < all) return [`order ${cart.order_id}: sold, but only ${count} of its ${all} lines stand`];
    return cart.lines.flatMap((line) =>
      lineFaults(cart, line, flows.get(flowKeyText(line)), returned.get(flowKeyText(line)) ?? 0),
    );
  });
}

function lineFaults({ order_id }: Cart, line: Line, flow: StandingFlow | undefined, returned: number): string[] {
  if (flow === undefined) return [];
  const wrong = [
    ...(flow.status === 'deducted' ? [] : [`it is ${flow.status}`]),
    ...(flow.order_id === order_id ? [] : [`it is of order ${flow.order_id}`]),
    ...(flow.quantity === line.quantity ? [] : [`${flow.quantity} units, not ${line.quantity}`]),
    ...(flow.returned === returned ? [] : [`${flow.returned} units came back, not ${returned}`]),
  ];
  return wrong.map((what) => `order ${order_id}, line ${line.order_detail_id} of ${line.sku_id}: ${what}`);
}

/** Units of each SKU in a cart. */
export function unitsBySku({ lines }: Cart): Map<string, number> {
  const units = new Map<string, number>();
  for (const { sku_id, quantity } of lines) units.set(sku_id, (units.get(sku_id) ?? 0) + quantity);
  return units;
}

/** SKUs that a refusal names as short, and what is wrong with the refusal itself. */
export interface Refusal {
  readonly short: readonly string[];
  readonly faults: readonly string[];
}

/** Reads a `409 insufficient_stock`: one line that is short is enough, and what it names must be short. */
export function refusalOf(
  cart: Cart,
  body: { readonly lines?: readonly { readonly sku_id?: string; readonly leaved_amount?: number }[] },
): Refusal {
  const asked = unitsBySku(cart);
  const short = new Set<string>();
  const faults: string[] = [];
  for (const { sku_id = '', leaved_amount = NaN } of body.lines ?? []) {
    short.add(sku_id);
    const units = asked.get(sku_id);
    if (units === undefined)
      faults.push(`order ${cart.order_id}: refused because of ${sku_id}, which it does not ask for`);
    else if (!(leaved_amount < units))
      faults.push(
        `order ${cart.order_id}: refused ${units} of ${sku_id}, of which the answer says ${leaved_amount} are left`,
      );
  }
  if (short.size === 0) faults.push(`order ${cart.order_id}: refused without a line that says why`);
  return { short: [...short], faults };
}
