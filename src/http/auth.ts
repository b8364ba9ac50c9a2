import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/**
 * Makes the check of an `Authorization` header. Digests of equal length are compared, and always all of them, so that
 * the time taken tells nothing about the tokens.
 *
 * @param tokens none means that everybody may call: the configuration allows that on loopback only
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
 * Who sends a request, in a word that tells nobody his token; where none is asked for: from which address. However he writes the
 * header, he is the same.
 *
 * @param hasTokens whether a known token was found in it
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
