/** An id as the bytes that MySQL keeps and compares. */
export function bytesOf(id: string): Buffer {
  return Buffer.from(id, 'utf8');
}

/** The id that some bytes from MySQL spell. */
export function textOf(bytes: Buffer): string {
  return bytes.toString('utf8');
}
