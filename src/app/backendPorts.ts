import type { HotRows } from '../core/ports/hotRows.ts';
import type { Layouts } from '../core/ports/layouts.ts';
import type { CartRecords } from '../core/ports/cartRecords.ts';
import type { OrderRecords } from '../core/ports/orderRecords.ts';
import type { SlotSource } from '../core/ports/slotSource.ts';
import type { StockEngine } from '../core/ports/stockEngine.ts';
import type { StockReader } from '../core/ports/stockReader.ts';

/** The ports between the use cases and the shards. A back end implements all of them. */
export interface BackendPorts {
  readonly engine: StockEngine;
  readonly reader: StockReader;
  readonly slots: SlotSource;
  readonly carts: CartRecords;
  readonly records: OrderRecords;
  readonly layouts: Layouts;
  readonly hotRows: HotRows;
}
