import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { Address } from '../../../src/mysql/connection/connection.ts';
import { packetLength, statementOf } from './packets.ts';

/** A TCP proxy that replaces statements, like a proxy that keeps sessions of its own. */
export interface RewritingProxy {
  readonly port: number;
  /** Replaces the text of each statement from now on; a statement without a change is forwarded byte for byte. */
  rewrite: (statement: string) => string;
  close(): Promise<void>;
}

/** @param target the server behind it */
export async function startRewritingProxy(target: Pick<Address, 'host' | 'port'>): Promise<RewritingProxy> {
  const sockets = new Set<Socket>();
  const proxy = { rewrite: (statement: string): string => statement };

  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => (sockets.delete(socket), client.destroy(), upstream.destroy()));
    }
    let pending: Buffer = Buffer.alloc(0);
    client.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      for (;;) {
        const length = packetLength(pending);
        if (length === null || pending.length < length) return;
        upstream.write(rewritten(pending.subarray(0, length), proxy.rewrite));
        pending = pending.subarray(length);
      }
    });
    upstream.on('data', (chunk: Buffer) => void client.write(chunk));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  return Object.assign(proxy, {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  });
}

/** A command is the first packet of its exchange; a packet of a handshake is not. */
function rewritten(packet: Buffer, rewrite: (statement: string) => string): Buffer {
  const statement = packet[3] === 0 ? statementOf(packet) : null;
  const other = statement === null ? null : rewrite(statement);
  if (statement === null || other === null || other === statement) return packet;
  const head = packet.subarray(4, packet.length - statement.length);
  const payload = Buffer.concat([head, Buffer.from(other, 'latin1')]);
  const length = Buffer.alloc(4);
  length.writeUIntLE(payload.length, 0, 3);
  return Buffer.concat([length, payload]);
}
