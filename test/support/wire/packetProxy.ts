import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { digitsOf, isBatch, packetLength, statementOf, commitReplyOf } from './packets.ts';

/**
 * Where a packet is struck: before the server receives it, when the server has half of it, or when the server has
 * replied and its reply is held back.
 */
export const SIDES = ['before', 'inside', 'after'] as const;
export type Side = (typeof SIDES)[number];

/** A fault at one packet of an operation. */
export interface Strike {
  /** The number of the packet in its operation, from 1. */
  readonly packet: number;
  readonly side: Side;
  /**
   * Called when the packet has arrived. Nothing passes on its connection until the result is `pass` or `cut`.
   *
   * @param hangUp ends the connection of the client, and of the client alone
   */
  act(hangUp: () => void): 'cut' | Promise<'pass'>;
}

/** A TCP proxy that counts the packets of one operation at a time on their way to the server. */
export interface PacketProxy {
  readonly port: number;
  /**
   * Starts a new count.
   *
   * @param id an id that each statement of the operation outside a transaction contains
   */
  watch(id: string, strike: Strike | null): void;
  /** The text of the statements that were counted since then. */
  readonly statements: readonly string[];
  /** True when the strike has begun. */
  readonly hasStruck: boolean;
  close(): Promise<void>;
}

/**
 * The packets of an operation are those of a transaction, from BEGIN to COMMIT or ROLLBACK, and single statements that
 * name its SKU, batches among them. Statements of the connection pool itself are not counted.
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
    let reply: Buffer = Buffer.alloc(0);
    let isHeld = false;
    let isLeft = false;

    const end = (): void => {
      client.destroy();
      upstream.destroy();
    };
    /** A client that disconnects does not take back what is on the wire: a held packet still arrives. */
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

    /** The strike at this packet, if any. */
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
      reply = Buffer.concat([reply, chunk]);
      if (isBatch(statements.at(-1) ?? '') && commitReplyOf(reply) === null) return;
      awaited = null;
      const whole = reply;
      reply = Buffer.alloc(0);
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
