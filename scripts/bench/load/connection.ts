import { connect } from 'node:net';

/** One open connection with at most one running request. */
export interface LoadConnection {
  send(request: string, onAnswer: (status: number) => void): void;
  close(): void;
}

const HEAD_END = Buffer.from('\r\n\r\n');
/** As Node.js writes it; every answer here has this header. */
const LENGTH = Buffer.from('Content-Length: ');
const DIGIT_0 = 48;
const READ_BYTES = 4_096;

/** @param onBroken called once when the connection ends or fails; a request that was sent is then never answered */
export function openConnection(host: string, port: number, onBroken: () => void): Promise<LoadConnection> {
  let waiting: ((status: number) => void) | null = null;
  let arrived: Buffer | null = null;
  // Reads into its own buffer, without a stream, which makes the generator itself cheaper.
  const take = (chunk: Buffer): void => {
    const bytes = arrived === null ? chunk : Buffer.concat([arrived, chunk]);
    const status = wholeAnswer(bytes);
    if (status === null || waiting === null) {
      arrived = Buffer.from(bytes);
      return;
    }
    const answered = waiting;
    waiting = null;
    arrived = null;
    answered(status);
  };
  return new Promise((resolve, reject) => {
    const buffer = Buffer.alloc(READ_BYTES);
    const onread = { buffer, callback: (count: number) => (take(buffer.subarray(0, count)), true) };
    const socket = connect({ host, port, noDelay: true, onread });
    let closed = false;
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.on('error', () => undefined);
      socket.once('close', () => !closed && onBroken());
      resolve({
        send(request, onAnswer) {
          waiting = onAnswer;
          socket.write(request, 'latin1');
        },
        close() {
          closed = true;
          socket.destroy();
        },
      });
    });
  });
}

/** The status of an answer that has arrived whole, null while it has not. */
export function wholeAnswer(bytes: Buffer): number | null {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return null;
  const length = numberAt(bytes, bytes.indexOf(LENGTH) + LENGTH.length);
  return bytes.length >= headEnd + HEAD_END.length + length ? numberAt(bytes, 'HTTP/1.1 '.length) : null;
}

function numberAt(bytes: Buffer, start: number): number {
  let value = 0;
  for (let place = start; ; place += 1) {
    const digit = (bytes[place] ?? 0) - DIGIT_0;
    if (digit < 0 || digit > 9) return value;
    value = value * 10 + digit;
  }
}
