import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { PACKAGE_DIR } from '../src/config.js'
import type { SegmentFormat } from '../src/domain.js'
import { openMedia } from '../src/media/media.js'

const FORMAT: SegmentFormat = {
  seconds: 10,
  audio: { sampleRateHz: 16_000, samples: 160_000, channels: 'mean' },
  visual: { width: 224, height: 224, resize: 'cover', framesPerSegment: 10 },
}

/** Prints how many times faster than they play files are decoded, sound and picture together, one file at a time. */
export async function benchDecode(files: readonly string[], format: SegmentFormat = FORMAT): Promise<void> {
  let played = 0
  let spent = 0
  for (const file of files) {
    const since = performance.now()
    const seconds = await decodedSeconds(file, format)
    const took = (performance.now() - since) / 1000
    played += seconds
    spent += took
    console.log(
      `${(seconds / took).toFixed(1).padStart(8)}x  ${seconds.toFixed(1).padStart(7)} s in ${took.toFixed(2)} s  ${file}`,
    )
  }
  console.log(`${(played / spent).toFixed(1).padStart(8)}x  all: ${played.toFixed(1)} s in ${spent.toFixed(1)} s`)
}

async function decodedSeconds(file: string, format: SegmentFormat): Promise<number> {
  const media = await openMedia(file, format)
  for await (const _ of media.segments());
  return media.outcome.seconds
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const fixtures = join(PACKAGE_DIR, 'test/fixtures')
  const videos = readdirSync(fixtures).filter((name) =>
    /^(?!bad|odd_(black|no|digital)).*\.(mp4|mkv|mov|webm)$/.test(name),
  )
  await benchDecode(process.argv.length > 2 ? process.argv.slice(2) : videos.map((name) => join(fixtures, name)))
}
