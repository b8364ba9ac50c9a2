import { LINES_LIMIT } from '../../src/core/types.ts';
import type { Line } from '../../src/core/types.ts';
import { quoted } from '../../src/core/text/visible.ts';
import type { Cart } from './carts.ts';
import { matchReturns } from './matching.ts';
import { CsvFault } from '../../src/commands/support/csvFile.ts';
import type { Row } from './orders.ts';

/** The sales of an invoice, or of a part of it if it has more lines than a request may have. */
export interface CartEvent extends Cart {
  readonly kind: 'cart';
  readonly invoice: string;
  readonly invoicedAtMs: number;
}

/** Goods of one sale that came back. */
export interface ReturnEvent extends Line {
  readonly kind: 'return';
  readonly return_id: string;
  /** The cart that sold these goods; null when their sale is not in the file. */
  readonly of: CartEvent | null;
  readonly invoicedAtMs: number;
}

export type ReplayEvent = CartEvent | ReturnEvent;

export interface Plan {
  /** In the order of the file; a return always follows the cart that sold its goods. */
  readonly events: readonly ReplayEvent[];
  /** The units that the sales ask for of every SKU, also of SKUs that are only returned. */
  readonly demand: ReadonlyMap<string, number>;
  /** The rows of the file that the events came from. */
  readonly rowCount: number;
}

/**
 * Makes requests from the rows of a file; the same file gives the same requests with the same ids.
 *
 * @param name names the file in messages
 * @throws CsvFault when two carts would have the same id
 */
export function planReplay(rows: readonly Row[], name: string): Plan {
  const carts = cartsOf(
    rows.filter(({ isReturn }) => !isReturn),
    name,
  );
  const cartOf = new Map(carts.flatMap(({ event, rows: ofCart }) => ofCart.map((row) => [row, event] as const)));
  const returns = matchReturns(rows).map(({ row, sale, quantity }) => ({
    line: row.line,
    event: {
      kind: 'return',
      return_id: detailId(row),
      // No sale has the id of a return row, so a return without a sale names a deduction that does not exist.
      order_detail_id: detailId(sale ?? row),
      sku_id: row.stock_code,
      quantity,
      of: sale === null ? null : (cartOf.get(sale) ?? null),
      invoicedAtMs: row.invoicedAtMs,
    } satisfies ReturnEvent,
  }));
  const inOrder = [...carts.map(({ event, rows: [first] }) => ({ line: first?.line ?? 0, event })), ...returns].sort(
    (a, b) => a.line - b.line,
  );
  return planOf(inOrder.map(({ event }) => event));
}

/** The plan up to the cart after the first `cartCount` carts; the returns before that cart are part of it. */
export function firstCarts(plan: Plan, cartCount: number): Plan {
  const next = plan.events.filter(({ kind }) => kind === 'cart')[cartCount];
  return next === undefined ? plan : planOf(plan.events.slice(0, plan.events.indexOf(next)));
}

function planOf(events: readonly ReplayEvent[]): Plan {
  const demand = new Map<string, number>();
  const ask = (sku_id: string, units: number): void => void demand.set(sku_id, (demand.get(sku_id) ?? 0) + units);
  let saleCount = 0;
  // A row whose units come from several sales has several events with the same id.
  const returnIds = new Set<string>();
  for (const event of events) {
    if (event.kind === 'cart') {
      saleCount += event.lines.length;
      for (const { sku_id, quantity } of event.lines) ask(sku_id, quantity);
    } else {
      returnIds.add(event.return_id);
      ask(event.sku_id, 0);
    }
  }
  return { events, demand, rowCount: saleCount + returnIds.size };
}

/** The opening stock: of every SKU `factor` times the units that will be asked for. */
export function openingStockOf({ demand }: Plan, factor: number): Map<string, number> {
  return new Map([...demand].map(([sku_id, units]) => [sku_id, Math.floor(units * factor)]));
}

/** The id of a row; different rows never share one, because the number has no dash in it. */
function detailId({ invoice, number }: Row): string {
  return `${invoice}-${number}`;
}

function cartsOf(sales: readonly Row[], name: string): { event: CartEvent; rows: Row[] }[] {
  const invoices = new Map<string, Row[]>();
  for (const row of sales) {
    const ofInvoice = invoices.get(row.invoice);
    if (ofInvoice === undefined) invoices.set(row.invoice, [row]);
    else ofInvoice.push(row);
  }
  const carts = [...invoices].flatMap(([invoice, ofInvoice]) =>
    Array.from({ length: Math.ceil(ofInvoice.length / LINES_LIMIT) }, (_, part) => {
      const rows = ofInvoice.slice(part * LINES_LIMIT, (part + 1) * LINES_LIMIT);
      const order_id = ofInvoice.length > LINES_LIMIT ? `${invoice}/${part + 1}` : invoice;
      const lines = rows.map((row): Line => ({
        order_detail_id: detailId(row),
        sku_id: row.stock_code,
        quantity: row.quantity,
      }));
      return {
        event: { kind: 'cart', invoice, order_id, lines, invoicedAtMs: rows[0]?.invoicedAtMs ?? 0 } satisfies CartEvent,
        rows,
      };
    }),
  );
  const lineOf = new Map<string, number>();
  for (const { event, rows } of carts) {
    const line = rows[0]?.line ?? 0;
    const earlier = lineOf.get(event.order_id);
    if (earlier !== undefined) {
      throw new CsvFault(name, line, `the order id ${quoted(event.order_id)} is taken by the cart of line ${earlier}`);
    }
    lineOf.set(event.order_id, line);
  }
  return carts;
}
