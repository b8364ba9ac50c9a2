/** The parts of MySQL's protocol that the proxies read: the end of a packet, its statement, and whether it commits. */

const COM_QUERY = 0x03;
const ERROR = 0xff;
/** If both ends support query attributes, the text follows their number (none) and the number of their sets (one). */
const NO_ATTRIBUTES = Buffer.from([0, 1]);

/** The statements that write a batch and commit it; the procedure's name ends with its version. */
const BATCH = /^START TRANSACTION;(?:SELECT [^;]* NOWAIT;)*CALL `[^`]+`\.apply_part_\d+\(/;
/** A flag in the status of an OK: the answers to further statements of the same packet follow. */
const MORE_TO_COME = 8;
const OK = 0x00;
const EOF = 0xfe;
/** An EOF packet is shorter than this, with its head. */
const EOF_LENGTH = 13;

/**
 * The whole length of a packet in bytes. Three of the four bytes of its head give the length of the rest. Null: there
 * are too few bytes yet.
 */
export function packetLength(bytes: Buffer): number | null {
  return bytes.length < 4 ? null : 4 + bytes.readUIntLE(0, 3);
}

/** The statement of a packet from a client, or null when it is something else. */
export function statementOf(packet: Buffer): string | null {
  if (packet[4] !== COM_QUERY) return null;
  const head = packet.subarray(5, 7).equals(NO_ATTRIBUTES) ? 7 : 5;
  return packet.subarray(head).toString('latin1');
}

/** True for a statement that begins a transaction, writes and commits in one. */
export function isBatch(statement: string): boolean {
  return BATCH.test(statement);
}

/** True for a packet after which the server has committed something: COMMIT, or a whole batch. */
export function commits(packet: Buffer): boolean {
  const statement = statementOf(packet);
  return statement !== null && (statement === 'COMMIT' || isBatch(statement));
}

/**
 * The server's reply to a packet that commits: an OK for each of its statements that returns no rows, or an error that
 * ends them. Null: the reply is incomplete.
 */
export function commitReplyOf(reply: Buffer): 'ok' | 'error' | null {
  // Rows follow their description. An EOF ends each of the two.
  let endsToCome = 0;
  for (
    let rest = reply, length = packetLength(rest);
    length !== null && rest.length >= length;
    rest = rest.subarray(length), length = packetLength(rest)
  ) {
    if (rest[4] === ERROR) return 'error';
    if (endsToCome > 0) {
      if (rest[4] === EOF && length < EOF_LENGTH) endsToCome -= 1;
      continue;
    }
    if (rest[4] !== OK) {
      endsToCome = 2;
      continue;
    }
    if ((statusOf(rest) & MORE_TO_COME) === 0) return 'ok';
  }
  return null;
}

/** The status in an OK packet follows one byte and two numbers. The first byte of a number gives its length. */
function statusOf(ok: Buffer): number {
  const lengths: Readonly<Record<number, number>> = { 0xfc: 3, 0xfd: 4, 0xfe: 9 };
  const after = (place: number): number => place + (lengths[ok.readUInt8(place)] ?? 1);
  return ok.readUInt16LE(after(after(5)));
}

/** An id as it appears in a statement: in the bytes that the driver writes, and in the JSON of a batch. */
export function digitsOf(id: string): string {
  return Buffer.from(id).toString('hex');
}
