import { z } from 'zod'
import { RESIZES } from '../domain/segment-format.js'

const TagSource = z.enum(['audio', 'visual', 'joint'])
/** The graph that tags come from. `joint` tags sound and picture together. */
export type TagSource = z.infer<typeof TagSource>

const size = z.number().int().positive()
const jsonFile = z.string().regex(/^[\w.-]+\.json$/)
const Graph = z.object({
  file: z.string().regex(/^[\w.-]+\.onnx$/),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
})

/**
 * The graphs of a bundle, which may support one modality only. Separate tagging graphs exist if the
 * retrieval graphs come from another checkpoint.
 */
const Graphs = z.object({
  audio: Graph.optional(),
  visual: Graph.optional(),
  joint: Graph.optional(),
  audio_tagging: Graph.optional(),
  visual_tagging: Graph.optional(),
})
type GraphName = keyof z.infer<typeof Graphs>

/** A value for each graph of a bundle. */
export type ByGraph<T> = Readonly<Partial<Record<GraphName, T>>>

/**
 * Fingerprints of earlier files of a bundle whose embeddings are bit-identical. The list names the
 * fingerprint that it belongs to, so that a manifest copied from another one is rejected.
 */
const Equals = z.object({
  fingerprint: z.string(),
  earlier: z.array(z.string().regex(/^[0-9a-f]{64}$/)),
})

/** Schema of bundle.json, which has every number of a model. */
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
    error: 'the bundle has neither an audio nor a visual graph',
  })
  .superRefine(({ tagging, graphs, fingerprint, equals }, { addIssue }) => {
    const lacking = tagging?.from.find((source) => !graphs[source])
    if (lacking) addIssue(`tags come from ${lacking}, but the bundle has no ${lacking} graph`)
    if (equals && equals.fingerprint !== fingerprint) {
      addIssue(`equals is the list of ${equals.fingerprint}, not of this bundle: remove it`)
    }
  })
/** The content of bundle.json. */
export type Manifest = z.infer<typeof Manifest>

/** Schema of labels.json: the classes by index. */
export const Classes = z.array(
  z.object({ index: z.number().int(), mid: z.string(), name: z.string() }),
)
/** A class of labels.json. `mid` is its AudioSet id. */
export type BundleClass = z.infer<typeof Classes>[number]

const GoldenOutput = z.object({
  embedding: z.array(z.number()),
  logits: z.array(z.number()).nullish(),
})
/**
 * Schema of golden.json: the output of the graphs for the golden segment. `atol` is the tolerance.
 */
export const Golden = z.object({
  atol: z.number().positive(),
  audio: GoldenOutput.extend({ length: size }).optional(),
  visual: GoldenOutput.optional(),
  joint: GoldenOutput.pick({ logits: true }).optional(),
})
/** The content of golden.json. */
export type Golden = z.infer<typeof Golden>
