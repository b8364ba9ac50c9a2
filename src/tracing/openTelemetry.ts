import { withTimeout } from '../core/async/withTimeout.ts';
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
import type { ShardIndex } from '../core/types.ts';
import type { RequestTrace, Trace, TraceableAnswer, TraceableRequest, Tracer } from '../core/ports/tracer.ts';
import { errorText } from '../core/text/errorText.ts';

export interface TracingOptions {
  /** Where spans are sent: OTLP over HTTP, in JSON. */
  readonly url: string;
  /** The share of requests that are recorded, of those whose caller has not decided it; 0 to 1. */
  readonly share: number;
  /** The name of this process among all gateways. */
  readonly instance: string;
  readonly shardName: (shard: ShardIndex) => string;
  /** Receives the reason when spans are lost. */
  readonly onSpansLost: (reason: string) => void;
}

/** The most spans that wait to be sent. Further spans are lost. */
const WAITING_MAX = 4_096;
/** The most spans in one export. They are few, because encoding them blocks the process. */
const BATCH_MAX = 256;
const SEND_EVERY_MS = 1_000;
/** The longest wait for the collector's answer. */
const SEND_MS = 5_000;
/** The most exports at the same time. All waiting spans can be under way at once when the process ends. */
const EXPORTS_MAX = 1 + WAITING_MAX / BATCH_MAX;
/** The time for the last exports when the process ends. Spans that are not sent in it are lost. */
const STOP_MS = 1_000;
/** The most characters of a reason, because the text of a collector may be long. */
const REASON_LENGTH_MAX = 200;

/** The methods that the semantic conventions name. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']);

const propagator = new W3CTraceContextPropagator();
const FROM_REQUEST: TextMapGetter<TraceableRequest> = {
  keys: () => propagator.fields(),
  get: (request, key) => (key === 'traceparent' ? request.traceparent : request.tracestate),
};

/**
 * Makes OpenTelemetry spans: one for each request and, under it, one for each operation on a shard. They contain the
 * route, the shard and the outcome. Of the caller's text they contain only the request id: no path, no query, no ids of
 * SKUs or orders.
 *
 * The library itself reads `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SERVICE_NAME` and the variables of the exporter, such as
 * `OTEL_EXPORTER_OTLP_HEADERS`.
 */
export function startTracing({ url, share, instance, shardName, onSpansLost }: TracingOptions): Tracer {
  reportErrors(onSpansLost);
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': 'stockgate',
      'service.instance.id': instance,
      'process.pid': process.pid,
    }).merge(detectResources({ detectors: [envDetector] })),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(share) }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter({ url, timeoutMillis: SEND_MS, concurrencyLimit: EXPORTS_MAX }),
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
    stop: () =>
      withTimeout(
        provider.shutdown(),
        STOP_MS,
        () => new Error(`the collector did not accept the remaining spans within ${STOP_MS} ms`),
      ).catch((error: unknown) => onSpansLost(shortErrorText(error))),
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
  if (!span.isRecording())
    return parent === ROOT_CONTEXT ? null : { traceId, operations: null, answered: () => undefined };
  span.setAttributes({
    'http.request.method': method,
    'url.scheme': 'http',
    'network.protocol.version': request.version,
  });
  return {
    traceId,
    operations: traceOf(maker, trace.setSpan(ROOT_CONTEXT, span), shardName),
    answered: (answer) => endRequest(span, answer),
  };
}

function traceOf(maker: SpanMaker, under: Context, shardName: TracingOptions['shardName']): Trace {
  return {
    begin(operation, shard) {
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
  // A refused request was answered, so its span is not an error.
  if (status >= 500) failed(span, outcome);
  span.end();
}

function failed(span: Span, type: string): void {
  span.setAttribute('error.type', type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

/** Passes on the errors of the library, which reports them for the whole process. */
function reportErrors(onTrouble: TracingOptions['onSpansLost']): void {
  const ignore = (): void => undefined;
  const report = (message: string): void => onTrouble(message.slice(0, REASON_LENGTH_MAX));
  diag.setLogger(
    { error: report, warn: report, info: ignore, debug: ignore, verbose: ignore },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  setGlobalErrorHandler((error) => onTrouble(shortErrorText(error)));
}

function shortErrorText(error: unknown): string {
  return errorText(error).slice(0, REASON_LENGTH_MAX);
}
