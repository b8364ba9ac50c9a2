import type { CartKey, Line } from '../types.ts';

/** Units that an order over several shards sold on one of them. The record of the order may be on any shard. */
export interface CartSale extends CartKey, Line {}

/** The end of a page of sales. The ids are bytes, because a damaged id may not be text. */
export interface SalePosition {
  readonly skuIdHex: string;
  readonly orderDetailIdHex: string;
}

/** Sales in the order of their flows' keys. Flows with damaged ids are left out, because no caller can name them. */
export interface CartSalesPage {
  readonly sales: readonly CartSale[];
  /** The position of the next page; null: there is none. */
  readonly next: SalePosition | null;
}
