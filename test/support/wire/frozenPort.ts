import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';

/** A TCP port in front of a server. */
export interface FrozenPort {
  /** Forwards connections from now on, and ends those that have waited. */
  open(): void;
  close(): Promise<void>;
}

/** Listens on a port and accepts connections, but sends nothing until it is opened, like a frozen server. */
export async function openFrozenPort(
  port: number,
  target: { readonly host: string; readonly port: number },
): Promise<FrozenPort> {
  const sockets = new Set<Socket>();
  let isOpen = false;
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    return socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    keep(client);
    if (!isOpen) return void client.resume();
    const upstream = keep(connect(target.port, target.host));
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  const endAll = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    open() {
      isOpen = true;
      endAll();
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      endAll();
      await closed;
    },
  };
}
