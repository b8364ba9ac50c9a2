import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { eventually } from '../run/eventually.ts';

/** A span as a collector received it. */
export interface ReceivedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Null: it is the first of its trace. */
  readonly parentSpanId: string | null;
  /** 2: of a server, 3: of a client. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly isError: boolean;
  /** Of the process that sent it. */
  readonly resource: Readonly<Record<string, unknown>>;
}

/** Answers a batch of spans. */
export type Behaviour = (request: IncomingMessage, response: ServerResponse) => void;

export const takeAll: Behaviour = (_request, response) =>
  void response.writeHead(200, { 'content-type': 'application/json' }).end('{}');

/** An OTLP receiver over HTTP, on a port of its own. */
export interface Collector {
  readonly url: string;
  readonly spans: readonly ReceivedSpan[];
  /** Every body that was ever sent, byte for byte. */
  readonly bodies: readonly string[];
  readonly addresses: ReadonlySet<string>;
  /** @throws when there is no such span within 15 seconds */
  find(name: string, isIt: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan>;
  stop(): Promise<void>;
}

const FIND_MS = 15_000;

export async function startCollector(behaviour: Behaviour = takeAll): Promise<Collector> {
  const spans: ReceivedSpan[] = [];
  const bodies: string[] = [];
  const addresses = new Set<string>();
  const server = createServer((request, response) => {
    void text(request).then(
      (body) => {
        bodies.push(body);
        addresses.add(`${request.method} ${request.url} ${request.headers['content-type']}`);
        spans.push(...spansIn(JSON.parse(body)));
        behaviour(request, response);
      },
      () => undefined,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    bodies,
    addresses,
    async find(name, isIt) {
      await eventually(`a span of ${name}`, FIND_MS, () => spans.some(isIt));
      return spans.find(isIt)!;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Json = any;

function spansIn(body: Json): ReceivedSpan[] {
  return body.resourceSpans.flatMap(({ resource, scopeSpans }: Json) =>
    scopeSpans.flatMap((scope: Json) =>
      scope.spans.map(({ name, traceId, spanId, parentSpanId, kind, attributes, status }: Json) => ({
        ...{ name, traceId, spanId, kind, attributes: valuesOf(attributes), isError: status.code === 2 },
        ...{ parentSpanId: parentSpanId ? parentSpanId : null, resource: valuesOf(resource.attributes) },
      })),
    ),
  );
}

function valuesOf(attributes: Json): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }: Json) => [key, Object.values(value)[0]]));
}
