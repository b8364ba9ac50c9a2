import { Agent, request } from 'node:http';

/** An answer as the client received it. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The body as JSON; undefined when it is not. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly body: any;
}

export interface CallOptions {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly url: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** The longest wait for an answer; absent: 10,000. */
  readonly waitMs?: number;
}

/** A client that keeps its connections open, as a shop's back end does. */
export interface HttpClient {
  /** @throws when no complete answer came: the request may have had its effect or not */
  call(options: CallOptions): Promise<Answer>;
  close(): void;
}

/** @param connectionsMax the most concurrent requests; further requests wait */
export function httpClient(connectionsMax: number): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets: connectionsMax });
  return {
    call: (options) => send(agent, options),
    close: () => agent.destroy(),
  };
}

function send(agent: Agent, { method, url, body, headers, waitMs = 10_000 }: CallOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const payload = body === undefined ? null : Buffer.from(JSON.stringify(body), 'utf8');
    const outgoing = request(url, {
      agent,
      method,
      headers: {
        ...(payload === null ? {} : { 'Content-Type': 'application/json', 'Content-Length': payload.length }),
        ...headers,
      },
    });
    outgoing.setTimeout(waitMs, () => outgoing.destroy(new Error(`no answer within ${waitMs} ms`)));
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
    outgoing.end(payload);
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
