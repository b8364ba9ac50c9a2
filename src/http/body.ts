import type { IncomingMessage } from 'node:http';
import rawBody from 'raw-body';
import { invalid, problem, Rejection } from './errors.ts';
import { hasRepeatedMember } from './repeatedMember.ts';

/** The largest body, in bytes. */
export const BODY_BYTES_MAX = 256 * 1024;

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const JSON_TYPE = /^application\/json\s*(;\s*charset="?utf-8"?\s*)?$/i;

/**
 * Reads a JSON body.
 *
 * @throws Rejection: 415 when it is not JSON in UTF-8, 413 when it is too large, 400 when it cannot be read
 */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (!JSON_TYPE.test(request.headers['content-type'] ?? '') || encoding !== 'identity') {
    throw new Rejection(problem('unsupported_media_type', 'send application/json in UTF-8, without compression'));
  }
  const text = decode(await readBytes(request));
  const value = parse(text);
  if (hasRepeatedMember(text, value)) throw bodyFault('has an object that names a field twice');
  return value;
}

async function readBytes(request: IncomingMessage): Promise<Buffer> {
  try {
    return await rawBody(request, { limit: BODY_BYTES_MAX, length: request.headers['content-length'] ?? null });
  } catch (error) {
    const { type } = error as { type?: string };
    if (type === 'entity.too.large') {
      const reply = problem('payload_too_large', `a body has at most ${BODY_BYTES_MAX} bytes`);
      // The rest of the body is still on its way: nothing after it could be read as a request.
      throw new Rejection({ ...reply, headers: { ...reply.headers, Connection: 'close' } });
    }
    throw bodyFault('did not arrive whole');
  }
}

/** Bytes that are not UTF-8 must not become U+FFFD: two different ids would become one. */
function decode(bytes: Buffer): string {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    throw bodyFault('is not well-formed UTF-8');
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw bodyFault(error instanceof SyntaxError ? `is not JSON: ${error.message}` : 'is not JSON');
  }
}

function bodyFault(message: string): Rejection {
  return new Rejection(invalid([{ path: 'body', message }]));
}
