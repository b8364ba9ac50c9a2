import type { OrderedLine } from '../../core/restore/missingRecord.ts';
import { QUANTITY_LIMIT } from '../../core/types.ts';
import { InvisibleIds, storedIdFault, wholeNumberFault } from '../support/csvCells.ts';
import { CsvFault, readCsv } from '../support/csvFile.ts';

const IDS = ['order_id', 'sku_id', 'order_detail_id'] as const;
const COLUMNS = [...IDS, 'quantity'] as const;

/**
 * Reads a file of lines that a shop has sold: `order_id,sku_id,order_detail_id,quantity`. Other columns are ignored.
 * Warns of ids with invisible characters.
 *
 * @throws CsvFault at the first row that is not valid: an order that is overlooked would be sold twice
 */
export async function readOrdersFile(path: string): Promise<OrderedLine[]> {
  const lines: OrderedLine[] = [];
  const invisible = new InvisibleIds();
  for await (const row of readCsv(path, COLUMNS)) {
    if (row.fault !== null) throw new CsvFault(path, row.line, row.fault);
    const { line, cells } = row;
    const fault =
      IDS.map((column) => storedIdFault(column, cells[column])).find((one) => one !== null) ??
      wholeNumberFault('quantity', cells.quantity, 1, QUANTITY_LIMIT);
    if (fault !== null) throw new CsvFault(path, line, fault);
    for (const column of IDS) invisible.add(line, column, cells[column]);
    const { order_id, sku_id, order_detail_id, quantity } = cells;
    lines.push({ order_id, sku_id, order_detail_id, quantity: Number(quantity), toldBy: `line ${line} of the orders` });
  }
  invisible.warn(path);
  return lines;
}
