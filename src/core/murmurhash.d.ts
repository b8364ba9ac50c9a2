declare module 'murmurhash' {
  /** MurmurHash3, x86, 32 bit, of bytes or of the UTF-8 bytes of a text. */
  function v3(key: Uint8Array | string, seed?: number): number;
  const murmurhash: { v3: typeof v3 };
  export default murmurhash;
}
