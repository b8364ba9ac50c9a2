/** An id as the bytes that MySQL keeps and compares. */
export function bytesOf(id: string): Buffer {
  return Buffer.from(id, 'utf8');
}

/** The id that some bytes from MySQL spell. */
export function textOf(bytes: Buffer): string {
  return bytes.toString('utf8');
}

/**
 * Whether some bytes spell an id. Others come back as other bytes when they are turned into a text, and name another
 * row.
 */
export function isText(bytes: Buffer): boolean {
  return bytesOf(textOf(bytes)).equals(bytes);
}

/** Some bytes for operators: the text that they spell, in quotes; otherwise their hexadecimal digits. */
export function quotedBytes(bytes: Buffer): string {
  return isText(bytes) ? JSON.stringify(textOf(bytes)) : `0x${bytes.toString('hex')}`;
}
