import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type Koa from 'koa';

/** The order that the load generator sends. */
export interface EchoedOrder {
  readonly order_id: string;
  readonly lines: readonly { readonly order_detail_id: string; readonly sku_id: string; readonly quantity: number }[];
}

/** Reads and parses a body, and nothing more. */
export async function readOrder(request: IncomingMessage): Promise<EchoedOrder> {
  const chunks: Buffer[] = [];
  // Not `for await`, which costs more per chunk: the echo must be the upper bound.
  await new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', reject);
    request.on('end', resolve);
  });
  const [first] = chunks;
  const bytes = first !== undefined && chunks.length === 1 ? first : Buffer.concat(chunks);
  return JSON.parse(bytes.toString('utf8')) as EchoedOrder;
}

/** The body with which a gateway answers an accepted order. */
export function deductedText({ order_id, lines }: EchoedOrder, replayed = false): string {
  return JSON.stringify({
    order_id,
    status: 'deducted',
    replayed,
    durability: 'mysql',
    lines: lines.map(({ order_detail_id, sku_id, quantity }) => ({
      order_detail_id,
      sku_id,
      quantity,
      replayed,
      returned: 0,
    })),
  });
}

/** Listens on a free port, prints the same line as a gateway, and ends on SIGTERM. */
export function serve(app: Koa): void {
  app.silent = true;
  const server = app.listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo;
    console.log(`ready http://127.0.0.1:${port} admin http://127.0.0.1:${port}`);
  });
  process.once('SIGTERM', () => process.exit(0));
}
