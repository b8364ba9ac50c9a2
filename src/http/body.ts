import type { IncomingMessage } from 'node:http';
import rawBody from 'raw-body';
import { shown } from '../core/text/shown.ts';
import { JsonFault, parseJson } from '../schema/strictJson.ts';
import { invalid, problem, Rejection } from './errors.ts';
import { isJsonInUtf8 } from './mediaType.ts';

/** The largest body, in bytes. */
export const BODY_BYTES_MAX = 256 * 1024;

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads a JSON body.
 *
 * @throws Rejection 415 when the body is not JSON in UTF-8, 413 when it is too large, 400 when it cannot be read
 */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const { 'content-type': type, 'content-encoding': encoding } = request.headers;
  if (type === undefined || !isJsonInUtf8(type)) {
    throw unsupported('Content-Type must be application/json, with no charset but utf-8', type);
  }
  if (encoding !== undefined && !/^(identity)?$/i.test(encoding)) {
    throw unsupported('Content-Encoding must be absent, empty or identity', encoding);
  }
  return parse(decode(await readBytes(request)));
}

function unsupported(rule: string, found: string | undefined): Rejection {
  const value = found === undefined ? 'none' : shown(found);
  return new Rejection(problem('unsupported_media_type', `${rule}, found ${value}`));
}

async function readBytes(request: IncomingMessage): Promise<Buffer> {
  try {
    return await rawBody(request, { limit: BODY_BYTES_MAX, length: request.headers['content-length'] ?? null });
  } catch (error) {
    const { type } = error as { type?: string };
    if (type === 'entity.too.large') {
      const reply = problem('payload_too_large', `a body has at most ${BODY_BYTES_MAX} bytes`);
      // The rest of the body is still on its way, so no later request on this connection could be read.
      throw new Rejection({ ...reply, headers: { ...reply.headers, Connection: 'close' } });
    }
    throw bodyFault('did not arrive completely');
  }
}

/** Rejects bytes that are not UTF-8. Replaced by U+FFFD, they would make one id of two different ones. */
function decode(bytes: Buffer): string {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    throw bodyFault('is not well-formed UTF-8');
  }
}

function parse(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    throw error instanceof JsonFault ? bodyFault(error.message) : error;
  }
}

function bodyFault(message: string): Rejection {
  return new Rejection(invalid([{ path: 'body', message }]));
}
