import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { commits, commitReplyOf, packetLength, statementOf } from './packets.ts';

/**
 * Where the wire is cut, relative to the packet that commits, which is COMMIT or a whole batch:
 *
 * - before: the server never receives it
 * - inside: the server receives one byte
 * - after: the server commits, and its OK is lost
 * - half-reply: half of the OK arrives
 * - silent: the server commits, its OK never arrives, and the connection stays open
 *
 * The last three wait for an OK, because a batch that the server refuses has committed nothing.
 */
export const CUTS = ['before', 'inside', 'after', 'half-reply', 'silent'] as const;
export type Cut = (typeof CUTS)[number];

export interface WireProxy {
  readonly port: number;
  /** Cuts at the next packet that commits, once. */
  arm(cut: Cut): void;
  /**
   * Cuts at each packet that commits and for which `draw` returns true. When several cuts apply, the first one is made.
   *
   * @param draw called with the text of the packet: `COMMIT`, or the statements of a batch
   * @returns a function that ends this
   */
  cutWhenever(cut: Cut, draw: (statements: string) => boolean): () => void;
  /** While true, no reply of the server is forwarded on any connection, and its replies are lost. */
  setSilent(silent: boolean): void;
  /** Forwards the packets of clients this much later. */
  setDelayMs(delayMs: number): void;
  /** While true, the packets of clients are kept back. Afterwards they are forwarded, even if the clients have gone. */
  setHeld(held: boolean): void;
  /**
   * Sends the next packet that contains this text to another session of the server, and returns the answer of that
   * session, like a proxy that shares sessions among its clients.
   */
  divertNext(text: string, session: Socket): void;
  /** Sends new connections to another server; null: to the first one again. */
  retarget(other: { readonly host: string; readonly port: number } | null): void;
  /** Resets all connections at once. */
  reset(): void;
  readonly cutsDone: number;
  close(): Promise<void>;
}

/** A TCP proxy that reads the heads of MySQL packets on their way to the server. */
export async function startWireProxy(target: { readonly host: string; readonly port: number }): Promise<WireProxy> {
  let armed: Cut | null = null;
  const cutting = new Set<{ readonly cut: Cut; readonly draw: (statements: string) => boolean }>();
  let silent = false;
  let delayMs = 0;
  let held = false;
  let current = target;
  let divert: { text: string; session: Socket } | null = null;
  let cutsDone = 0;
  const sockets = new Set<Socket>();
  const kept: (() => void)[] = [];
  const orphans: Socket[] = [];

  /** @param isDone true after the OK of the server, false before the server receives the packet */
  const drawCut = (statements: string, isDone: boolean): Cut | null => {
    const fits = (cut: Cut): boolean => (cut !== 'before' && cut !== 'inside') === isDone;
    const isArmed = armed !== null && fits(armed);
    const cut = isArmed ? armed : ([...cutting].find((one) => fits(one.cut) && one.draw(statements))?.cut ?? null);
    if (isArmed) armed = null;
    if (cut !== null) cutsDone += 1;
    return cut;
  };

  const server = createServer((client) => {
    const upstream = connect(current.port, current.host);
    /** The statements of the packet that commits, until the server has replied. */
    let committing: string | null = null;
    let received: Buffer = Buffer.alloc(0);
    let reply: Cut | null = null;
    let pending: Buffer = Buffer.alloc(0);
    const end = (): void => {
      client.destroy();
      // Packets that are kept back still go to the server when they are released, as in a slow network.
      if (held) orphans.push(upstream);
      else upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', end);
      socket.on('close', () => {
        sockets.delete(socket);
        end();
      });
    }
    const pass = (packet: Buffer): void => {
      if (divert !== null && packet.subarray(5).toString('latin1').includes(divert.text)) {
        divert.session.once('data', (answer: Buffer) => client.write(answer));
        divert.session.write(packet);
        divert = null;
        return;
      }
      committing = commits(packet) ? (statementOf(packet) ?? '') : null;
      const cut = committing === null ? null : drawCut(committing, false);
      if (cut === 'before') return end();
      if (cut === 'inside') {
        upstream.write(packet.subarray(0, 1), () => end());
        return;
      }
      reply = null;
      upstream.write(packet);
    };
    client.on('data', (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      for (
        let length = packetLength(pending);
        length !== null && pending.length >= length;
        length = packetLength(pending)
      ) {
        const packet = pending.subarray(0, length);
        pending = pending.subarray(length);
        if (held) kept.push(() => pass(packet));
        else if (delayMs > 0) setTimeout(() => pass(packet), delayMs);
        else pass(packet);
      }
    });
    upstream.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (committing !== null) {
        const decision = commitReplyOf(received);
        if (decision === null) return;
        if (decision === 'ok') reply = drawCut(committing, true);
        committing = null;
      }
      const whole = received;
      received = Buffer.alloc(0);
      if (reply === 'after') return end();
      if (reply === 'half-reply') {
        client.write(whole.subarray(0, Math.floor(whole.length / 2)), () => end());
        return;
      }
      if (reply !== 'silent' && !silent) client.write(whole);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  return {
    port: (server.address() as AddressInfo).port,
    arm: (cut) => (armed = cut),
    cutWhenever: (cut, draw) => {
      const one = { cut, draw };
      cutting.add(one);
      return () => void cutting.delete(one);
    },
    setSilent: (value) => (silent = value),
    setDelayMs: (value) => (delayMs = value),
    setHeld: (value) => {
      held = value;
      if (held) return;
      for (const passOn of kept.splice(0)) passOn();
      // Clients that have gone meanwhile send nothing more.
      for (const upstream of orphans.splice(0)) upstream.end();
    },
    divertNext: (text, session) => (divert = { text, session }),
    retarget: (other) => (current = other ?? target),
    reset: () => {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    get cutsDone() {
      return cutsDone;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
