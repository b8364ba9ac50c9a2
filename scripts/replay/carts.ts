import { flowKeyText } from '../../src/core/types.ts';
import type { Flow, Line } from '../../src/core/types.ts';

/** Lines that are sold as a whole or not at all. */
export interface Cart {
  readonly order_id: string;
  readonly lines: readonly Line[];
}

/** A cart and the answer that its shop received. */
export interface CartOutcome {
  readonly cart: Cart;
  /** `unclear`: the answer was not a valid one. Even then the cart must be whole or absent. */
  readonly outcome: 'sold' | 'refused' | 'unclear';
}

/** A stored line, as the journal has it. */
export type StoredFlow = Pick<Flow, 'order_id' | 'quantity' | 'returned' | 'status'>;

/** The stored lines, by `flowKeyText`, without void flows. */
export type StoredFlows = ReadonlyMap<string, StoredFlow>;

/**
 * Compares every cart with the journal: all lines of a sold cart are stored as they were sent, and no line of a refused
 * one.
 *
 * @param returned units that came back, by `flowKeyText`
 * @returns every contradiction in a sentence
 */
export function cartFaults(
  judged: readonly CartOutcome[],
  flows: StoredFlows,
  returned: ReadonlyMap<string, number>,
): string[] {
  return judged.flatMap(({ cart, outcome }) => {
    const count = cart.lines.filter((line) => flows.has(flowKeyText(line))).length;
    const all = cart.lines.length;
    if (outcome === 'refused')
      return count === 0 ? [] : [`order ${cart.order_id}: refused, but ${count} of its ${all} lines are stored`];
    if (outcome === 'unclear')
      return count === 0 || count === all ? [] : [`order ${cart.order_id}: ${count} of its ${all} lines are stored`];
    if (count < all) return [`order ${cart.order_id}: sold, but only ${count} of its ${all} lines are stored`];
    return cart.lines.flatMap((line) =>
      lineFaults(cart, line, flows.get(flowKeyText(line)), returned.get(flowKeyText(line)) ?? 0),
    );
  });
}

function lineFaults({ order_id }: Cart, line: Line, flow: StoredFlow | undefined, returned: number): string[] {
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
export function unitsOfCartBySku({ lines }: Cart): Map<string, number> {
  const units = new Map<string, number>();
  for (const { sku_id, quantity } of lines) units.set(sku_id, (units.get(sku_id) ?? 0) + quantity);
  return units;
}

/** The SKUs that a refusal names as short, and the faults of the refusal itself. */
export interface Refusal {
  readonly short: readonly string[];
  readonly faults: readonly string[];
}

/** Reads a `409 insufficient_stock`: it must name at least one line, and every named line must be short. */
export function refusalOfCart(
  cart: Cart,
  body: { readonly lines?: readonly { readonly sku_id?: string; readonly leaved_amount?: number }[] },
): Refusal {
  const asked = unitsOfCartBySku(cart);
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
  if (short.size === 0) faults.push(`order ${cart.order_id}: refused without a line as the reason`);
  return { short: [...short], faults };
}
