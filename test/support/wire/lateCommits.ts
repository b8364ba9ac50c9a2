import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { commits } from './packets.ts';

export interface LateCommits {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * A TCP proxy that forwards every commit `lateMs` late, even when its sender has given up on it. It imitates a slow
 * network, in which giving up does not undo a commit.
 */
export async function startLateCommits(
  target: { readonly host: string; readonly port: number },
  lateMs: number,
): Promise<LateCommits> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    let isCommitting = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => sockets.delete(socket));
    }
    upstream.pipe(client);
    upstream.on('close', () => client.destroy());
    client.on('close', () => isCommitting || upstream.destroy());
    client.on('data', (chunk: Buffer) => {
      // A commit is a packet of its own; no other data is sent with it.
      if (!commits(chunk)) return void upstream.write(chunk);
      isCommitting = true;
      setTimeout(() => {
        isCommitting = false;
        if (client.destroyed) upstream.end(chunk);
        else upstream.write(chunk);
      }, lateMs);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
