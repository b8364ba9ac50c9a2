import { QUANTITY_SHORT } from './contract.ts';
import type { Traffic } from './contract.ts';

export interface OrderMaker {
  /** The next request, ready for the wire. */
  next(): string;
  readonly counts: { made: number; repeated: number; short: number };
}

export interface OrderMakerOptions {
  /** The value of the Host header. */
  readonly host: string;
  readonly baskets: readonly (readonly string[])[];
  readonly prefix: string;
  readonly traffic: Traffic;
  /** The number of orders after which an order is sent again. */
  readonly againAfter: number;
}

/** Short orders have numbers that no other order reaches. */
const SHORT_FROM = 90_000_000;
/** One order in this many is sent for the second time; 0: none. */
const AGAIN_EVERY: Readonly<Record<Traffic, number>> = { plain: 0, replays: 20, mixed: 10 };

/** Makes the same orders as the script of wrk, each joined from prepared parts. */
export function orderMaker({ host, baskets, prefix, traffic, againAfter }: OrderMakerOptions): OrderMaker {
  const idLength = prefix.length + 1 + 8;
  const ready = baskets.map((skus) => ({
    enough: partsOf(host, skus, 1, idLength),
    short: partsOf(host, skus, QUANTITY_SHORT, idLength),
  }));
  const chosen: number[] = [];
  const counts = { made: 0, repeated: 0, short: 0 };
  let count = 0;
  const request = (basket: number, kind: 'enough' | 'short', number: number): string =>
    ready[basket]?.[kind].join(`${prefix}-${String(number).padStart(8, '0')}`) ?? '';
  const anyBasket = (): number => Math.floor(Math.random() * ready.length);

  const againEvery = AGAIN_EVERY[traffic];
  const isShort = (): boolean => traffic === 'mixed' && count % 20 === 5;
  const isAgain = (): boolean => againEvery > 0 && count % againEvery === 0 && counts.made >= againAfter;
  return {
    counts,
    next() {
      count += 1;
      if (isShort()) return request(anyBasket(), 'short', SHORT_FROM + ++counts.short);
      if (isAgain()) {
        counts.repeated += 1;
        return request(chosen[counts.made % againAfter] ?? 0, 'enough', counts.made - againAfter);
      }
      const basket = anyBasket();
      chosen[counts.made % againAfter] = basket;
      counts.made += 1;
      return request(basket, 'enough', counts.made - 1);
    },
  };
}

/** The parts of a request around its id, which occurs once for the order and once for each line. */
function partsOf(host: string, skus: readonly string[], quantity: number, idLength: number): string[] {
  const lines = skus.map((sku_id, index) => {
    const rest = `-${index + 1}","sku_id":"${sku_id}","quantity":${quantity}}`;
    return rest + (index < skus.length - 1 ? ',{"order_detail_id":"' : ']}');
  });
  const parts = ['{"order_id":"', '","lines":[{"order_detail_id":"', ...lines];
  const length = parts.join('').length + (parts.length - 1) * idLength;
  const head = [
    'POST /v1/deductions HTTP/1.1',
    `Host: ${host}`,
    'Content-Type: application/json',
    `Content-Length: ${length}`,
  ].join('\r\n');
  return [`${head}\r\n\r\n${parts[0]}`, ...parts.slice(1)];
}
