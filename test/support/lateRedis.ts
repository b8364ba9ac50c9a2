import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { createClient } from '@redis/client';
import type { RedisProcess } from '../../scripts/cluster/redis.ts';
import { NOTE } from '../../src/redis/script.ts';

/** A way to a Redis on which some of what gateways tell each other comes late, and in another order than it was sent. */
export interface LateRedis {
  readonly port: number;
  /** Notes that came late, and those of them that were still the latest of some SKU. */
  readonly came: { late: number; stored: number };
  close(): Promise<void>;
}

export interface LateOptions {
  /** The share of notes that come late. */
  readonly share: number;
  /** Each by itself, so that one that was sent earlier may come later. */
  readonly lateMsMax: number;
}

/**
 * Passes commands on as they come, but for some notes: those are written under other keys, so that whoever sent them hears at once
 * what he would have heard, and come under their own keys by another connection, later.
 */
export async function startLateRedis(target: RedisProcess, { share, lateMsMax }: LateOptions): Promise<LateRedis> {
  const came = { late: 0, stored: 0 };
  const byWay = createClient({ socket: { host: target.host, port: target.port } });
  byWay.on('error', () => undefined);
  await byWay.connect();
  const sockets = new Set<Socket>();
  const timers = new Set<NodeJS.Timeout>();

  const sendLate = (words: readonly Buffer[]): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      came.late += 1;
      byWay.sendCommand([...words]).then(
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
        const isLate = command.words[1]?.toString() === NOTE.sha1 && Math.random() < share;
        if (isLate) sendLate(command.words);
        upstream.write(isLate ? bytesOf(elsewhere(command.words)) : bytes);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    came,
    async close() {
      timers.forEach((timer) => clearTimeout(timer));
      sockets.forEach((socket) => socket.destroy());
      byWay.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The first command of what clients say, an array of bulk strings; null: it is not whole yet. */
function commandIn(said: Buffer): { readonly words: readonly Buffer[]; readonly length: number } | null {
  const words: Buffer[] = [];
  let place = 0;
  const number = (): number | null => {
    const end = said.indexOf('\r\n', place);
    if (end === -1) return null;
    const value = Number(said.subarray(place + 1, end).toString());
    place = end + 2;
    return value;
  };
  for (let left = number(); left !== null; left -= 1) {
    if (left === 0) return { words, length: place };
    const length = number();
    if (length === null || said.length < place + length + 2) return null;
    words.push(said.subarray(place, place + length));
    place += length + 2;
  }
  return null;
}

/** The same note, of SKUs that nobody asks for: after the script, the number of keys and the era come theirs. */
function elsewhere(words: readonly Buffer[]): Buffer[] {
  const keyCount = Number(words[2]?.toString());
  return words.map((word, place) =>
    place > 3 && place < 3 + keyCount ? Buffer.concat([word, Buffer.from(':elsewhere')]) : word,
  );
}

function bytesOf(words: readonly Buffer[]): Buffer {
  return Buffer.concat([
    Buffer.from(`*${words.length}\r\n`),
    ...words.flatMap((word) => [Buffer.from(`$${word.length}\r\n`), word, Buffer.from('\r\n')]),
  ]);
}
