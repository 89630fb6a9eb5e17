import type { Attributes } from '../../domain/attributes.js'
import type { ClipId, Seq } from '../../domain/ids.js'
import type { Modality } from '../../domain/modality.js'
import type { UnitVector } from '../../domain/vector.js'
import { AppError } from '../../errors.js'
import type { Change } from '../catalogue/change-log.js'
import type { PackedChanges } from './protocol.js'

const OPS: readonly (Modality | 'drop' | 'attributes')[] = ['audio', 'visual', 'drop', 'attributes']

type Put = Extract<Change, { readonly op: 'put' }>

/** Packs changes into new buffers. Throws EMBEDDING_SIZE. */
export function pack(changes: readonly Change[], cursor: Seq, dimension: number): PackedChanges {
  const puts = changes.filter((change) => change.op === 'put')
  const described = changes.filter((change) => change.op !== 'drop')
  return {
    cursor,
    ops: Uint8Array.from(changes, (change) =>
      OPS.indexOf(change.op === 'put' ? change.modality : change.op),
    ),
    seqs: Float64Array.from(changes, ({ seq }) => seq),
    segments: Float64Array.from(changes, (change) =>
      change.op === 'attributes' ? 0 : change.segment,
    ),
    vectors: packVectors(puts, dimension),
    clips: described.map(({ clip }) => clip),
    attributes: described.map(({ attributes }) => attributes),
  }
}

/** Returns the buffers of a page, for the transfer. */
export function buffersOf({ ops, seqs, segments, vectors }: PackedChanges): ArrayBuffer[] {
  return [ops, seqs, segments, vectors].map(({ buffer }) => buffer as ArrayBuffer)
}

/** Yields the packed changes. Their vectors are views of the page. */
export function* unpack(page: PackedChanges, dimension: number): Generator<Change> {
  let puts = 0
  let described = 0
  for (const [i, code] of page.ops.entries()) {
    const [op, seq] = [OPS[code], page.seqs[i] as Seq]
    const segment = page.segments[i] as number
    if (op === 'drop') {
      yield { seq, op, segment }
      continue
    }
    const clip = page.clips[described] as ClipId
    const attributes = page.attributes[described++] as Attributes
    if (op === 'audio' || op === 'visual') {
      const vector = page.vectors.subarray(puts * dimension, ++puts * dimension) as UnitVector
      yield { seq, op: 'put', segment, clip, modality: op, vector, attributes }
    } else {
      yield { seq, op: 'attributes', clip, attributes }
    }
  }
}

function packVectors(puts: readonly Put[], dimension: number): Float32Array {
  const vectors = new Float32Array(puts.length * dimension)
  for (const [i, { vector }] of puts.entries()) {
    if (vector.length !== dimension) {
      throw new AppError(
        'EMBEDDING_SIZE',
        `Expected an embedding of ${dimension} numbers, got ${vector.length}`,
      )
    }
    vectors.set(vector, i * dimension)
  }
  return vectors
}
