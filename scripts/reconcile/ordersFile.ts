import { isStoredIdentifier, STORED_IDENTIFIER_RULE } from '../../src/core/identifier.ts';
import type { OrderedLine } from '../../src/core/lost.ts';
import { readCsv } from '../support/csvFile.ts';

const IDS = ['order_id', 'sku_id', 'order_detail_id'] as const;
const COLUMNS = [...IDS, 'quantity'] as const;

/**
 * Reads a file of lines that a shop has sold: `order_id,sku_id,order_detail_id,quantity`, other columns are passed over.
 *
 * @throws at the first row that cannot be meant: an order that is overlooked is sold twice
 */
export async function readOrdersFile(path: string): Promise<OrderedLine[]> {
  const lines: OrderedLine[] = [];
  for await (const { line, cells } of readCsv(path, COLUMNS)) {
    const [order_id = '', sku_id = '', order_detail_id = '', quantity = ''] = cells;
    const bad = [order_id, sku_id, order_detail_id].findIndex((id) => !isStoredIdentifier(id));
    const place = `${path}, line ${line}`;
    if (bad !== -1) throw new Error(`${place}: ${IDS[bad]} ${JSON.stringify(cells[bad])} ${STORED_IDENTIFIER_RULE}`);
    if (!/^[1-9]\d{0,8}$/.test(quantity)) throw new Error(`${path}, line ${line}: quantity ${JSON.stringify(quantity)} must be a whole number from 1`);
    lines.push({ order_id, sku_id, order_detail_id, quantity: Number(quantity), toldBy: `line ${line} of the orders` });
  }
  return lines;
}
