import { flowKeyText } from '../../src/core/types.ts';
import { cartFaults, unitsOfCartBySku } from './carts.ts';
import type { CartOutcome, StoredFlows } from './carts.ts';
import type { Results } from './play.ts';
import type { Plan, ReplayEvent } from './plan.ts';

/** The state that the shop expects at the end, from the answers alone. */
export interface ExpectedState {
  readonly carts: readonly CartOutcome[];
  /** Lines of sold carts. */
  readonly lineCount: number;
  /** Units that came back, by `flowKeyText` of their sale. */
  readonly returned: ReadonlyMap<string, number>;
  /** Units that should be left of each SKU. */
  readonly left: ReadonlyMap<string, number>;
}

/** Adds up the answers. */
export function expectedStateOf(results: Results, opening: ReadonlyMap<string, number>): ExpectedState {
  const left = new Map(opening);
  const move = (sku_id: string, units: number): void => void left.set(sku_id, (left.get(sku_id) ?? 0) + units);
  const returned = new Map<string, number>();
  const carts: CartOutcome[] = [];
  for (const [event, { is }] of results) {
    const hadEffect = is === 'done' || is === 'replayed';
    if (event.kind === 'cart') {
      carts.push({ cart: event, outcome: hadEffect ? 'sold' : is === 'refused' ? 'refused' : 'unclear' });
      if (hadEffect) unitsOfCartBySku(event).forEach((units, sku_id) => move(sku_id, -units));
    } else if (hadEffect) {
      const key = flowKeyText(event);
      returned.set(key, (returned.get(key) ?? 0) + event.quantity);
      move(event.sku_id, event.quantity);
    }
  }
  const lineCount = carts.reduce((sum, { cart, outcome }) => sum + (outcome === 'sold' ? cart.lines.length : 0), 0);
  return { carts, lineCount, returned, left };
}

/** Finds answers that cannot be right, independent of the journal. */
export function answerFaults(results: Results, { demand }: Plan, opening: ReadonlyMap<string, number>): string[] {
  const mayRunOut = (sku_id: string): boolean => (opening.get(sku_id) ?? 0) < (demand.get(sku_id) ?? 0);
  return [...results].flatMap(([event, result]) => {
    const faults = [...result.faults];
    if (event.kind === 'cart') {
      const never = (result.short ?? []).filter((sku_id) => !mayRunOut(sku_id));
      return [
        ...faults,
        ...never.map(
          (sku_id) =>
            `order ${event.order_id}: refused because of ${sku_id}, of which there was enough for every order`,
        ),
      ];
    }
    const sale = event.of === null ? 'refused' : results.get(event.of)?.is;
    const what = `return ${event.return_id} of ${event.order_detail_id}, ${event.sku_id}`;
    const isBack = result.is === 'done' || result.is === 'replayed';
    if (isBack && sale === 'refused') return [...faults, `${what}: accepted, although it was never sold`];
    if (result.is === 'unknown_deduction' && (sale === 'done' || sale === 'replayed'))
      return [...faults, `${what}: unknown deduction, although it was sold`];
    return faults;
  });
}

/** Compares the expected state with the journal and with the units left that the gateway reports. */
export function expectedStateFaults(
  { carts, returned, left }: ExpectedState,
  flows: StoredFlows,
  leftNow: ReadonlyMap<string, number>,
): string[] {
  const wrong = [...left].filter(([sku_id, units]) => leftNow.get(sku_id) !== units);
  return [
    ...cartFaults(carts, flows, returned),
    ...wrong.map(([sku_id, units]) => `${sku_id}: ${leftNow.get(sku_id)} left, the shop counts ${units}`),
  ];
}

/** The events that are sent a second time: all but refused carts. Those may be sold now, because goods came back. */
export function eventsToRepeat(results: Results): ReplayEvent[] {
  return [...results].filter(([event, { is }]) => !(event.kind === 'cart' && is === 'refused')).map(([event]) => event);
}

/** Finds answers of the second pass that are no replays of the first pass. */
export function replayFaults(first: Results, again: Results): string[] {
  return [...again].flatMap(([event, { is, faults }]) => {
    const was = first.get(event)?.is;
    const expected = was === 'done' ? 'replayed' : was;
    const what =
      event.kind === 'cart'
        ? `order ${event.order_id}`
        : `return ${event.return_id} of ${event.order_detail_id}, ${event.sku_id}`;
    return [...faults, ...(is === expected ? [] : [`${what}: ${was} at first, ${is} when it was sent again`])];
  });
}
