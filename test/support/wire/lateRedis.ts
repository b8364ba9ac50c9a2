import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createClient } from '@redis/client';
import type { RedisProcess } from '../../../scripts/cluster/redis/redis.ts';
import { STORE } from '../../../src/redis/script.ts';

/** A proxy in front of Redis that delivers some cache writes late, and in another order than they were sent. */
export interface LateRedis {
  readonly port: number;
  /** Cache writes that were delivered late, and those of them that were still the latest of some SKU. */
  readonly delivered: { late: number; stored: number };
  close(): Promise<void>;
}

export interface LateOptions {
  /** The share of cache writes that are delivered late. */
  readonly share: number;
  /** Each write has a delay of its own, so a write that was sent earlier may be delivered later. */
  readonly lateMsMax: number;
}

/**
 * Forwards commands at once, except for some cache writes. Those are first sent with other keys, so that the sender
 * receives the usual reply at once. Later they are sent with their own keys, over another connection.
 */
export async function startLateRedis(target: RedisProcess, { share, lateMsMax }: LateOptions): Promise<LateRedis> {
  const came = { late: 0, stored: 0 };
  const lateClient = createClient({ socket: { host: target.host, port: target.port } });
  lateClient.on('error', () => undefined);
  await lateClient.connect();
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();

  const sendLate = (words: readonly Buffer[]): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      came.late += 1;
      lateClient.sendCommand([...words]).then(
        (reply) => (came.stored += Number((reply as unknown as readonly unknown[])[4]) > 0 ? 1 : 0),
        () => undefined,
      );
    }, Math.random() * lateMsMax);
    timers.add(timer);
  };
  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    let pending: Buffer = Buffer.alloc(0);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => [client, upstream].forEach((each) => each.destroy()));
    }
    upstream.pipe(client);
    client.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      for (let command = commandIn(pending); command !== null; command = commandIn(pending)) {
        const bytes = pending.subarray(0, command.length);
        pending = pending.subarray(command.length);
        const isLate = command.words[1]?.toString() === STORE.sha1 && Math.random() < share;
        if (isLate) sendLate(command.words);
        upstream.write(isLate ? bytesOf(withUnreadKeys(command.words)) : bytes);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    delivered: came,
    async close() {
      timers.forEach((timer) => clearTimeout(timer));
      sockets.forEach((socket) => socket.destroy());
      lateClient.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The first command in the bytes of a client, an array of bulk strings; null: it is incomplete. */
function commandIn(received: Buffer): { readonly words: readonly Buffer[]; readonly length: number } | null {
  const words: Buffer[] = [];
  let place = 0;
  const number = (): number | null => {
    const end = received.indexOf('\r\n', place);
    if (end === -1) return null;
    const value = Number(received.subarray(place + 1, end).toString());
    place = end + 2;
    return value;
  };
  for (let left = number(); left !== null; left -= 1) {
    if (left === 0) return { words, length: place };
    const length = number();
    if (length === null || received.length < place + length + 2) return null;
    words.push(received.subarray(place, place + length));
    place += length + 2;
  }
  return null;
}

/** The same cache write for SKUs that no gateway reads. The keys follow the script, the number of keys and the era. */
function withUnreadKeys(words: readonly Buffer[]): Buffer[] {
  const keyCount = Number(words[2]?.toString());
  return words.map((word, place) =>
    place > 3 && place < 3 + keyCount ? Buffer.concat([word, Buffer.from(':unread')]) : word,
  );
}

function bytesOf(words: readonly Buffer[]): Buffer {
  return Buffer.concat([
    Buffer.from(`*${words.length}\r\n`),
    ...words.flatMap((word) => [Buffer.from(`$${word.length}\r\n`), word, Buffer.from('\r\n')]),
  ]);
}
