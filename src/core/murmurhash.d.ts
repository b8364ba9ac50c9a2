declare module 'murmurhash' {
  const murmurhash: {
    /** MurmurHash3, x86, 32 bit, of bytes or of the UTF-8 bytes of a text. */
    v3(key: Uint8Array | string, seed?: number): number;
  };
  export default murmurhash;
}
