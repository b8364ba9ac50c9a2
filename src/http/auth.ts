import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/**
 * Makes the check of an `Authorization` header. It compares digests of equal length, and always all of them, so that
 * the time it takes reveals nothing about the tokens.
 *
 * @param tokens an empty list accepts every caller; the configuration allows that on loopback only
 */
export function bearerCheck(tokens: readonly string[]): (authorization: string | undefined) => boolean {
  if (tokens.length === 0) return () => true;
  const digests = tokens.map(digest);
  return (authorization) => {
    const offered = digest(tokenOf(authorization));
    return digests.reduce((known, expected) => timingSafeEqual(expected, offered) || known, false);
  };
}

/**
 * Identifies the caller of a request: by a digest of the token, which does not reveal it, or by the address where no
 * token is required. Different spellings of the header with the same token give the same caller.
 *
 * @param hasTokens whether a known token was found in the header
 */
export function callerOf({ headers: { authorization }, socket }: IncomingMessage, hasTokens: boolean): string {
  return hasTokens ? digest(tokenOf(authorization)).toString('base64url') : (socket.remoteAddress ?? 'unknown');
}

function tokenOf(authorization = ''): string {
  return /^Bearer +(\S+) *$/i.exec(authorization)?.[1] ?? '';
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}
