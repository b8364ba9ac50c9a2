import { AGAIN_AFTER, QUANTITY_SHORT } from './contract.ts';

export interface OrderMaker {
  /** The next request, ready for the wire. */
  next(): string;
  readonly counts: { made: number; again: number; short: number };
}

export interface OrderMakerOptions {
  /** What the Host header says. */
  readonly host: string;
  readonly baskets: readonly (readonly string[])[];
  readonly prefix: string;
  readonly mixed: boolean;
}

/** Short orders have numbers that no other order reaches. */
const SHORT_FROM = 90_000_000;

/** Makes orders as wrk's script does, each put together from ready parts. */
export function orderMaker({ host, baskets, prefix, mixed }: OrderMakerOptions): OrderMaker {
  const idLength = prefix.length + 1 + 8;
  const ready = baskets.map((skus) => ({
    enough: partsOf(host, skus, 1, idLength),
    short: partsOf(host, skus, QUANTITY_SHORT, idLength),
  }));
  const chosen: number[] = [];
  const counts = { made: 0, again: 0, short: 0 };
  let turn = 0;
  const request = (basket: number, kind: 'enough' | 'short', number: number): string =>
    ready[basket]?.[kind].join(`${prefix}-${String(number).padStart(8, '0')}`) ?? '';
  const anyBasket = (): number => Math.floor(Math.random() * ready.length);

  const isShortsTurn = (): boolean => mixed && turn % 20 === 5;
  const isAgainsTurn = (): boolean => mixed && turn % 10 === 0 && counts.made >= AGAIN_AFTER;
  return {
    counts,
    next() {
      turn += 1;
      if (isShortsTurn()) return request(anyBasket(), 'short', SHORT_FROM + ++counts.short);
      if (isAgainsTurn()) {
        counts.again += 1;
        return request(chosen[counts.made % AGAIN_AFTER] ?? 0, 'enough', counts.made - AGAIN_AFTER);
      }
      const basket = anyBasket();
      chosen[counts.made % AGAIN_AFTER] = basket;
      counts.made += 1;
      return request(basket, 'enough', counts.made - 1);
    },
  };
}

/** The parts of a request around its id, which stands in it once for the order and once for each line. */
function partsOf(host: string, skus: readonly string[], quantity: number, idLength: number): string[] {
  const lines = skus.map((sku_id, index) => {
    const rest = `-${index + 1}","sku_id":"${sku_id}","quantity":${quantity}}`;
    return rest + (index < skus.length - 1 ? ',{"order_detail_id":"' : ']}');
  });
  const parts = ['{"order_id":"', '","lines":[{"order_detail_id":"', ...lines];
  const length = parts.join('').length + (parts.length - 1) * idLength;
  const head = `POST /v1/deductions HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;
  return [head + parts[0], ...parts.slice(1)];
}
