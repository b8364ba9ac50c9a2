import { fresh } from '../gateway/gateway.ts';
import type { TestGateway } from '../gateway/gateway.ts';

export interface TradingClients {
  /** The number of orders that were sent. */
  sent(): number;
  /** Lets every client finish its current order. */
  stop(): Promise<void>;
}

/** Starts clients that sell single lines and carts, and that return and cancel some of them, without a pause. */
export function startTradingClients(gateway: TestGateway, skus: readonly string[], count: number): TradingClients {
  let running = true;
  let sent = 0;
  const trade = async (client: number): Promise<void> => {
    for (let number = 0; running; number += 1) {
      const [order_id, order_detail_id] = [fresh('order'), fresh('detail')];
      const some = skus.filter((_, index) =>
        number % 3 === 0 ? index === (client + number) % skus.length : (index + client + number) % 2 === 0,
      );
      const lines = some.map((sku_id) => ({ sku_id, order_detail_id, quantity: 1 + (number % 2) }));
      const { status } = await gateway.post('/v1/deductions', { order_id, lines });
      sent += 1;
      const [first] = some;
      if (status === 201 && number % 2 === 0)
        await gateway.post('/v1/returns', { return_id: 'r', sku_id: first, order_detail_id, quantity: 1 });
      if (number % 4 !== 3)
        await gateway.post('/v1/cancellations', {
          order_id,
          lines: lines.map(({ sku_id }) => ({ sku_id, order_detail_id })),
        });
    }
  };
  const clients = Array.from({ length: count }, (_, client) => trade(client));
  return {
    sent: () => sent,
    async stop() {
      running = false;
      await Promise.all(clients);
    },
  };
}
