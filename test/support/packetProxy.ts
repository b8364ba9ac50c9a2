import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { digitsOf, isBatch, packetLength, statementOf, verdictOf } from './packets.ts';

/**
 * Where a packet is struck: before the server gets it, when it has half of it, or when it has replied and its reply is not
 * passed on.
 */
export const SIDES = ['before', 'inside', 'after'] as const;
export type Side = (typeof SIDES)[number];

/** What is done about one packet of an operation. */
export interface Strike {
  /** Counted from 1 over the packets of the operation. */
  readonly packet: number;
  readonly side: Side;
  /**
   * Called when the packet is there; nothing passes on its connection until this says whether to go on or to cut.
   *
   * @param hangUp ends the connection for the client, and for the client alone
   */
  act(hangUp: () => void): 'cut' | Promise<'pass'>;
}

/** A TCP proxy that counts the packets of one operation at a time on their way to the server. */
export interface PacketProxy {
  readonly port: number;
  /**
   * Begins to count anew.
   *
   * @param id found in a statement of the operation outside any transaction
   */
  watch(id: string, strike: Strike | null): void;
  /** The packets counted since, as the text of their statements. */
  readonly statements: readonly string[];
  /** True when the strike has begun. */
  readonly hasStruck: boolean;
  close(): Promise<void>;
}

/**
 * The packets of an operation are those of a transaction, from BEGIN to COMMIT or ROLLBACK, and single statements that
 * name its SKU, batches among them. What the pool says on its own behalf is not counted.
 */
export async function startPacketProxy(target: { readonly host: string; readonly port: number }): Promise<PacketProxy> {
  let marker = '';
  let armed: Strike | null = null;
  let hasStruck = false;
  let statements: string[] = [];
  const sockets = new Set<Socket>();

  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    let inTransaction = false;
    let pending: Buffer = Buffer.alloc(0);
    let awaited: Strike | null = null;
    let said: Buffer = Buffer.alloc(0);
    let isHeld = false;
    let isLeft = false;

    const end = (): void => {
      client.destroy();
      upstream.destroy();
    };
    /** Who goes away does not call back what is on the wire: a packet that is held still arrives. */
    const leave = (): void => {
      isLeft = true;
      if (!isHeld) end();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', leave);
      socket.on('close', () => (sockets.delete(socket), leave()));
    }

    const hold = async (strike: Strike, pass: () => void): Promise<void> => {
      [hasStruck, isHeld] = [true, true];
      const decision = await strike.act(() => client.destroy());
      isHeld = false;
      if (decision === 'cut') return end();
      pass();
      if (isLeft) upstream.end();
      else readOn();
    };

    /** The strike that this packet meets, if any. */
    const count = (packet: Buffer): Strike | null => {
      const sql = statementOf(packet);
      if (sql === null) return null;
      const isCounted = inTransaction || sql === 'BEGIN' || (marker !== '' && sql.toLowerCase().includes(marker));
      if (sql === 'BEGIN') inTransaction = true;
      if (sql === 'COMMIT' || sql === 'ROLLBACK') inTransaction = false;
      if (!isCounted) return null;
      statements.push(sql);
      if (armed?.packet !== statements.length) return null;
      const strike = armed;
      armed = null;
      return strike;
    };

    const readOn = (): void => {
      for (
        let length = packetLength(pending);
        !isHeld && length !== null && pending.length >= length;
        length = packetLength(pending)
      ) {
        const packet = pending.subarray(0, length);
        pending = pending.subarray(length);
        const strike = count(packet);
        if (strike !== null && strike.side !== 'after') {
          const half = strike.side === 'before' ? 0 : Math.ceil(packet.length / 2);
          if (half > 0) upstream.write(packet.subarray(0, half));
          void hold(strike, () => upstream.write(packet.subarray(half)));
        } else {
          awaited = strike;
          upstream.write(packet);
        }
      }
    };
    client.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      readOn();
    });
    upstream.on('data', (chunk: Buffer) => {
      const strike = awaited;
      if (strike === null) return void client.write(chunk);
      said = Buffer.concat([said, chunk]);
      if (isBatch(statements.at(-1) ?? '') && verdictOf(said) === null) return;
      awaited = null;
      const whole = said;
      said = Buffer.alloc(0);
      upstream.pause();
      void hold(strike, () => (client.write(whole), upstream.resume()));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  return {
    port: (server.address() as AddressInfo).port,
    watch(id, strike) {
      marker = digitsOf(id);
      [armed, hasStruck, statements] = [strike, false, []];
    },
    get statements() {
      return statements;
    },
    get hasStruck() {
      return hasStruck;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
