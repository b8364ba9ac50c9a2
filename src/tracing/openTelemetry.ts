import { diag, DiagLogLevel, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import type { Context, Span, TextMapGetter, Tracer as SpanMaker } from '@opentelemetry/api';
import { setGlobalErrorHandler, W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { ShardIndex } from '../core/nouns.ts';
import type { RequestTrace, Trace, TraceableAnswer, TraceableRequest, Tracer } from '../core/trace.ts';

export interface TracingOptions {
  /** Where spans are sent: OTLP over HTTP, in JSON. */
  readonly url: string;
  /** Of requests whose caller has not decided that for us. */
  readonly share: number;
  /** What this process is called among others of its kind. */
  readonly instance: string;
  readonly shardName: (shard: ShardIndex) => string;
  /** Told of spans that were lost, and why. */
  readonly onTrouble: (reason: string) => void;
}

/** Spans that wait to be sent; more are lost. */
const WAITING_MAX = 4_096;
/** Spans that are sent together: to write them down holds up everything else in the process, so they are few. */
const BATCH_MAX = 256;
const SEND_EVERY_MS = 1_000;
/** No collector is waited for longer. */
const SEND_MS = 5_000;
/** All of what waits may be on its way at once when the process ends. */
const SENDING_MAX = 1 + WAITING_MAX / BATCH_MAX;
/** What is not told by then at the end is lost. */
const STOP_MS = 1_000;
/** A collector's words may be long. */
const REASON_LENGTH_MAX = 200;

/** Others have no name among the conventions. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']);

const propagator = new W3CTraceContextPropagator();
const FROM_REQUEST: TextMapGetter<TraceableRequest> = {
  keys: () => propagator.fields(),
  get: (request, key) => (key === 'traceparent' ? request.traceparent : request.tracestate),
};

/**
 * Makes spans as OpenTelemetry has them: one for each request and, under it, one for each operation on a shard. They say which call, which shard
 * and how it ended, and nothing that a caller named but his own request's id: no path, no query, no ids of SKUs and orders.
 *
 * What `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SERVICE_NAME` and the other variables of the exporter say (`OTEL_EXPORTER_OTLP_HEADERS` and so on) is read by
 * the library itself.
 */
export function startTracing({ url, share, instance, shardName, onTrouble }: TracingOptions): Tracer {
  hearTroubles(onTrouble);
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': 'stockgate',
      'service.instance.id': instance,
      'process.pid': process.pid,
    }).merge(detectResources({ detectors: [envDetector] })),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(share) }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter({ url, timeoutMillis: SEND_MS, concurrencyLimit: SENDING_MAX }),
        maxQueueSize: WAITING_MAX,
        maxExportBatchSize: BATCH_MAX,
        scheduledDelayMillis: SEND_EVERY_MS,
        exportTimeoutMillis: SEND_MS,
      }),
    ],
  });
  const maker = provider.getTracer('stockgate');
  return {
    begin: (request) => beginRequest(maker, request, shardName),
    stop: () => within(STOP_MS, provider.shutdown()).catch((error: unknown) => onTrouble(reasonOf(error))),
  };
}

function beginRequest(
  maker: SpanMaker,
  request: TraceableRequest,
  shardName: TracingOptions['shardName'],
): RequestTrace | null {
  const parent =
    request.traceparent === undefined ? ROOT_CONTEXT : propagator.extract(ROOT_CONTEXT, request, FROM_REQUEST);
  const method = METHODS.has(request.method) ? request.method : '_OTHER';
  const span = maker.startSpan(method === '_OTHER' ? 'HTTP' : method, { kind: SpanKind.SERVER }, parent);
  const { traceId } = span.spanContext();
  if (!span.isRecording()) return parent === ROOT_CONTEXT ? null : { traceId, inside: null, answered: () => undefined };
  span.setAttributes({
    'http.request.method': method,
    'url.scheme': 'http',
    'network.protocol.version': request.version,
  });
  return {
    traceId,
    inside: insideOf(maker, trace.setSpan(ROOT_CONTEXT, span), shardName),
    answered: (answer) => endRequest(span, answer),
  };
}

function insideOf(maker: SpanMaker, under: Context, shardName: TracingOptions['shardName']): Trace {
  return {
    began(operation, shard) {
      const name = shardName(shard);
      const span = maker.startSpan(
        `${operation} ${name}`,
        { kind: SpanKind.CLIENT, attributes: { 'stockgate.operation': operation, 'stockgate.shard': name } },
        under,
      );
      return (ending) => {
        span.setAttribute('stockgate.ending', ending);
        if (ending === 'not_done' || ending === 'unknown' || ending === 'fault') failed(span, ending);
        span.end();
      };
    },
  };
}

function endRequest(span: Span, { route, outcome, status, requestId }: TraceableAnswer): void {
  if (route !== null) {
    span.updateName(route);
    span.setAttribute('http.route', route.slice(route.indexOf(' ') + 1));
  }
  span.setAttributes({
    'http.response.status_code': status,
    'stockgate.outcome': outcome,
    ...(requestId !== null && { 'stockgate.request_id': requestId }),
  });
  // A caller who is refused has had his answer.
  if (status >= 500) failed(span, outcome);
  span.end();
}

function failed(span: Span, type: string): void {
  span.setAttribute('error.type', type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

/** The library tells its troubles to the whole process. */
function hearTroubles(onTrouble: TracingOptions['onTrouble']): void {
  const silent = (): void => undefined;
  const told = (message: string): void => onTrouble(message.slice(0, REASON_LENGTH_MAX));
  diag.setLogger(
    { error: told, warn: told, info: silent, debug: silent, verbose: silent },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  setGlobalErrorHandler((error) => onTrouble(reasonOf(error)));
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, REASON_LENGTH_MAX);
}

/** @throws when it takes longer; what is not done by then goes on by itself */
function within(ms: number, work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the collector did not take what was left within ${ms} ms`)), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
