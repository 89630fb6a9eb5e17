import type { MediaSegment } from '../domain/segment-format.js'
import { assemble, distribute } from './batch.js'
import type { BatchKind } from './batching.js'
import type { Bundle } from './bundle.js'
import type { SegmentEncoding } from './encoding.js'
import { checkGolden, goldenFrame, goldenSamples } from './golden.js'
import type { EncoderThread } from './thread.js'

/** Checks a thread against the bundle's golden numbers. Throws BUNDLE_INVALID. */
export async function verify(thread: Pick<EncoderThread, 'run'>, bundle: Bundle): Promise<void> {
  const { golden, format } = bundle
  const encode = async (
    kind: BatchKind,
    inputs: Pick<MediaSegment, 'samples' | 'frames'>,
  ): Promise<SegmentEncoding | undefined> => {
    const items = [{ kind, ...inputs, tags: true }]
    const { batch, buffers } = assemble(items, format)
    return distribute(items, await thread.run(batch, buffers))[0]?.encoding
  }
  const samples = golden.audio ? goldenSamples(golden.audio.length, format) : null
  const frames = golden.visual ? [goldenFrame(format)] : []
  if (samples) {
    const audio = await encode('sound', { samples, frames: [] })
    checkGolden('audio', audio?.audio ?? {}, golden)
  }
  if (frames.length > 0) {
    const visual = await encode('frame', { samples: null, frames })
    checkGolden('visual', visual?.frames[0] ?? {}, golden)
  }
  if (golden.joint) {
    const joint = await encode('segment', { samples, frames })
    checkGolden('joint', { logits: joint?.joint[0] ?? null }, golden)
  }
}
