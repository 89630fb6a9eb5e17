/** Returns a tone as a WAV file of 16 kHz. */
export function tone(hz: number, { seconds = 1, gain = 8000 } = {}): Buffer {
  const length = 16_000 * seconds
  const samples = Int16Array.from(
    { length },
    (_, n) => gain * Math.sin((2 * Math.PI * hz * n) / 16_000),
  )
  const header = Buffer.alloc(44)
  header.write('RIFF')
  header.writeUInt32LE(36 + samples.byteLength, 4)
  header.write('WAVEfmt ', 8)
  header.writeUInt32LE(16, 16)
  header.writeUInt16LE(1, 20) // PCM
  header.writeUInt16LE(1, 22) // channels
  header.writeUInt32LE(16_000, 24)
  header.writeUInt32LE(32_000, 28)
  header.writeUInt16LE(2, 32)
  header.writeUInt16LE(16, 34)
  header.write('data', 36)
  header.writeUInt32LE(samples.byteLength, 40)
  return Buffer.concat([header, Buffer.from(samples.buffer)])
}
