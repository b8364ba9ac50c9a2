import { Agent, request } from 'node:http';
import { connect } from 'node:net';
import type { Answer } from '../../../scripts/support/httpClient.ts';

/** A request whose path is sent as it is: no `..` is folded, and nothing is encoded. */
export interface RawCall {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

export interface RawClient {
  /** @throws when no complete answer came in time */
  call(base: string, call: RawCall): Promise<Answer>;
  close(): void;
}

const WAIT_MS = 5_000;

export const JSON_HEADERS = { 'Content-Type': 'application/json' } as const;

/** A client that keeps its connections and changes nothing in the requests. */
export function rawClient(): RawClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  return {
    call: (base, { method, path, headers = {}, body }) =>
      new Promise((resolve, reject) => {
        const { hostname, port } = new URL(base);
        const length = body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) };
        const outgoing = request({ agent, host: hostname, port, method, path, headers: { ...length, ...headers } });
        outgoing.setTimeout(WAIT_MS, () =>
          outgoing.destroy(new Error(`${method} ${path}: no answer within ${WAIT_MS} ms`)),
        );
        outgoing.on('error', reject);
        outgoing.on('response', (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body: parse(text) });
          });
        });
        outgoing.end(body);
      }),
    close: () => agent.destroy(),
  };
}

export interface SendOptions {
  /** Closes the sending side after the last byte. */
  readonly end?: boolean;
  readonly waitMs?: number;
  /** A byte that follows the others again and again, this far apart, until the exchange ends. */
  readonly trickle?: { readonly byte: string; readonly everyMs: number };
}

/** All answers that came back on one connection. */
export interface Exchange {
  readonly answers: readonly Answer[];
  /** The time until the server had closed; null when it had not. */
  readonly closedAfterMs: number | null;
}

/** Writes bytes to a connection of their own and returns the first answer. @throws when none came in time */
export async function sendBytes(base: string, bytes: string | Buffer, options: SendOptions = {}): Promise<Answer> {
  const { answers } = await exchange(base, bytes, { ...options, answersMax: 1 });
  const [answer] = answers;
  if (answer === undefined) throw new Error(`no answer to ${JSON.stringify(bytes.toString('latin1').slice(0, 200))}`);
  return answer;
}

/**
 * Writes bytes to a connection of their own and collects the answers, until the connection is closed, there are enough
 * answers, or the time is over.
 */
export function exchange(
  base: string,
  bytes: string | Buffer,
  { end = false, waitMs = WAIT_MS, trickle, answersMax = Infinity }: SendOptions & { answersMax?: number } = {},
): Promise<Exchange> {
  return new Promise((resolve) => {
    const { hostname, port } = new URL(base);
    const startedMs = performance.now();
    // The client's side stays open after the end of the server's side, to observe whether the server closes.
    const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    let received = Buffer.alloc(0);
    let closedAfterMs: number | null = null;
    const finish = (): void => {
      clearTimeout(timer);
      clearInterval(drip);
      socket.destroy();
      resolve({ answers: answersIn(received), closedAfterMs });
    };
    const timer = setTimeout(finish, waitMs);
    const drip = trickle && setInterval(() => socket.write(trickle.byte), trickle.everyMs);
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (answersIn(received).length >= answersMax) finish();
    });
    socket.on('end', () => {
      closedAfterMs = performance.now() - startedMs;
      finish();
    });
    socket.on('error', () => {
      closedAfterMs ??= performance.now() - startedMs;
      finish();
    });
    socket.write(bytes);
    if (end) socket.end();
  });
}

/** The complete answers at the beginning of some bytes. */
function answersIn(bytes: Buffer): Answer[] {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd < 0) return [];
  const [statusLine = '', ...lines] = bytes.subarray(0, headEnd).toString('latin1').split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [line.replace(/:.*/, '').toLowerCase(), line.replace(/^[^:]*:\s*/, '')]),
  );
  const bodyEnd = headEnd + 4 + Number(headers['content-length'] ?? 0);
  if (bytes.length < bodyEnd) return [];
  const status = Number(statusLine.split(' ')[1]);
  const text = bytes.subarray(headEnd + 4, bodyEnd).toString('utf8');
  // `100 Continue` is no answer.
  const own = status < 200 ? [] : [{ status, headers, text, body: parse(text) }];
  return [...own, ...answersIn(bytes.subarray(bodyEnd))];
}

/** Parses any body. A body that is not JSON gives undefined instead of an exception. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
