import { z } from 'zod'
import { RESIZES } from '../domain/segment-format.js'

/** `joint`: sound and picture together. */
const TagSource = z.enum(['audio', 'visual', 'joint'])
export type TagSource = z.infer<typeof TagSource>

const size = z.number().int().positive()
const jsonFile = z.string().regex(/^[\w.-]+\.json$/)
const Graph = z.object({
  file: z.string().regex(/^[\w.-]+\.onnx$/),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
})

/** A bundle may hear or see alone. The tagging graphs are there where the retrieval graphs are of another checkpoint. */
const Graphs = z.object({
  audio: Graph.optional(),
  visual: Graph.optional(),
  joint: Graph.optional(),
  audio_tagging: Graph.optional(),
  visual_tagging: Graph.optional(),
})
type GraphName = keyof z.infer<typeof Graphs>

/** Something for each graph that there is. */
export type ByGraph<T> = Readonly<Partial<Record<GraphName, T>>>

/**
 * Fingerprints of earlier files of a bundle, whose embeddings are the same bit for bit. The list names the fingerprint
 * that it was made for, so that a manifest made from another one cannot take it over unnoticed.
 */
const Equals = z.object({
  fingerprint: z.string(),
  earlier: z.array(z.string().regex(/^[0-9a-f]{64}$/)),
})

/** bundle.json. Every number that belongs to a model stands in it. */
export const Manifest = z
  .object({
    format: z.literal(1),
    name: z.string().min(1),
    fingerprint: z.string(),
    equals: Equals.optional(),
    embedding: size,
    audio: z.object({ sampleRateHz: size, samples: size, channels: z.enum(['mean', 'first']) }),
    visual: z.object({
      width: size,
      height: size,
      resize: z.enum(RESIZES),
      framesPerSegment: size,
    }),
    graphs: Graphs,
    tagging: z.object({ labels: jsonFile, from: z.array(TagSource).min(1) }).nullable(),
    golden: jsonFile,
    licence: z.string(),
  })
  .refine(({ graphs }) => graphs.audio || graphs.visual, {
    error: 'there is neither an audio nor a visual graph',
  })
  .superRefine(({ tagging, graphs, fingerprint, equals }, { addIssue }) => {
    const lacking = tagging?.from.find((source) => !graphs[source])
    if (lacking) addIssue(`tags come from ${lacking}, and there is no ${lacking} graph`)
    if (equals && equals.fingerprint !== fingerprint) {
      addIssue(`equals is the list of ${equals.fingerprint}, not of this bundle: remove it`)
    }
  })
export type Manifest = z.infer<typeof Manifest>

/** labels.json */
export const Classes = z.array(
  z.object({ index: z.number().int(), mid: z.string(), name: z.string() }),
)
export type BundleClass = z.infer<typeof Classes>[number]

const GoldenAnswer = z.object({
  embedding: z.array(z.number()),
  logits: z.array(z.number()).nullish(),
})
/** golden.json: what the graphs say of the golden segment. */
export const Golden = z.object({
  atol: z.number().positive(),
  audio: GoldenAnswer.extend({ length: size }).optional(),
  visual: GoldenAnswer.optional(),
  joint: GoldenAnswer.pick({ logits: true }).optional(),
})
export type Golden = z.infer<typeof Golden>
