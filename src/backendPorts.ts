import type { HotRows, Layouts } from './core/hotPorts.ts';
import type { CartRecords, SlotSource, StockEngine, StockReader } from './core/ports.ts';

/** The ports between the use cases and the shards. A back end implements all of them. */
export interface BackendPorts {
  readonly engine: StockEngine;
  readonly reader: StockReader;
  readonly slots: SlotSource;
  readonly carts: CartRecords;
  readonly layouts: Layouts;
  readonly hotRows: HotRows;
}
