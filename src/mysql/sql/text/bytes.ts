/** An id as the bytes that MySQL keeps and compares. */
export function bytesOf(id: string): Buffer {
  return Buffer.from(id, 'utf8');
}

/** The id that bytes from MySQL spell. */
export function textOf(bytes: Buffer): string {
  return bytes.toString('utf8');
}

/**
 * Whether bytes spell an id. Other bytes change when they are converted to text and back, and would name another row.
 */
export function isText(bytes: Buffer): boolean {
  return bytesOf(textOf(bytes)).equals(bytes);
}

/** Bytes for operators: the text that they spell, in quotes; if they spell none, their hexadecimal digits. */
export function quotedBytes(bytes: Buffer): string {
  return isText(bytes) ? JSON.stringify(textOf(bytes)) : `0x${bytes.toString('hex')}`;
}
