import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { MODALITIES } from '../domain/modality.js'
import type { SegmentFormat } from '../domain/segment-format.js'
import { AppError } from '../errors.js'
import { OpenedFile } from '../storage/opened-file.js'
import {
  type BundleClass,
  type ByGraph,
  Classes,
  Golden,
  Manifest,
  type TagSource,
} from './manifest.js'

/** A verified bundle: the hashes of its graphs and its fingerprint match the manifest. */
export interface Bundle {
  readonly name: string
  readonly fingerprint: string
  /** Fingerprints of earlier files of this bundle whose embeddings are bit-identical. */
  readonly equals: readonly string[]
  readonly dimension: number
  readonly format: SegmentFormat
  readonly graphs: ByGraph<string> // paths
  readonly classes: readonly BundleClass[] // by index; empty if the bundle does not tag
  readonly tagsFrom: readonly TagSource[] // a segment uses the first that it has
  readonly golden: Golden
  readonly licence: string
}

/**
 * Reads and verifies the bundle in a folder. Throws BUNDLE_INVALID if a file is missing, changed or
 * of another format.
 */
export async function loadBundle(dir: string): Promise<Bundle> {
  const manifest = await readJson(join(dir, 'bundle.json'), Manifest)
  await verifyGraphs(dir, manifest)
  verifyFingerprint(manifest)
  const { audio, visual, tagging, graphs } = manifest
  const modalities = MODALITIES.filter((modality) => graphs[modality])
  const golden = await readJson(join(dir, manifest.golden), Golden)
  if (modalities.some((modality) => !golden[modality]))
    throw invalid(`${manifest.golden} lacks the output of a graph.`)
  return Object.freeze({
    name: manifest.name,
    fingerprint: manifest.fingerprint,
    equals: manifest.equals?.earlier ?? [],
    dimension: manifest.embedding,
    format: { seconds: audio.samples / audio.sampleRateHz, modalities, audio, visual },
    graphs: graphPaths(dir, manifest),
    classes: tagging ? await readJson(join(dir, tagging.labels), Classes) : [],
    tagsFrom: tagging?.from ?? [],
    golden,
    licence: manifest.licence,
  })
}

/**
 * Returns the SHA-256 of the graphs and front-end numbers, in hex. Embeddings of different
 * fingerprints are never compared.
 */
export function fingerprintOf({
  graphs,
  embedding,
  audio,
  visual,
}: Omit<Manifest, 'fingerprint' | 'equals'>): string {
  const lines = [
    'earshot-bundle 1',
    ...[graphs.audio, graphs.visual, graphs.joint].flatMap((graph) =>
      graph ? [`${graph.file} ${graph.sha256}`] : [],
    ),
    `embedding ${embedding}`,
    `audio ${audio.sampleRateHz} ${audio.samples} ${audio.channels}`,
    `visual ${visual.width} ${visual.height} ${visual.resize} ${visual.framesPerSegment}`,
  ]
  return createHash('sha256')
    .update(`${lines.join('\n')}\n`)
    .digest('hex')
}

/** Returns true if embeddings of a fingerprint are valid for this bundle. */
export const hasFingerprint = (
  { fingerprint, equals }: Pick<Bundle, 'fingerprint' | 'equals'>,
  other: string,
): boolean => fingerprint === other || equals.includes(other)

function graphPaths(dir: string, { graphs }: Manifest): ByGraph<string> {
  const paths = Object.entries(graphs).flatMap(([name, graph]) =>
    graph ? [[name, join(dir, graph.file)]] : [],
  )
  return Object.fromEntries(paths) as ByGraph<string> // keys stay the same
}

async function verifyGraphs(dir: string, { graphs }: Manifest): Promise<void> {
  for (const graph of Object.values(graphs)) {
    if (!graph) continue
    const actual = await sha256(join(dir, graph.file))
    if (actual !== graph.sha256) {
      throw invalid(
        `${graph.file} has SHA-256 ${actual}, bundle.json has ${graph.sha256}. ` +
          'Copy the bundle again.',
      )
    }
  }
}

function verifyFingerprint(manifest: Manifest): void {
  const expected = fingerprintOf(manifest)
  if (manifest.fingerprint !== expected) {
    throw invalid(
      `bundle.json has fingerprint ${manifest.fingerprint}, ` +
        `its graphs and numbers have ${expected}.`,
    )
  }
}

async function sha256(path: string): Promise<string> {
  try {
    await using file = await OpenedFile.open(path)
    return await file.contentHash()
  } catch (cause) {
    throw invalid(`${basename(path)} cannot be read: ${String(cause)}`, cause)
  }
}

async function readJson<T>(file: string, schema: z.ZodType<T>): Promise<T> {
  try {
    return schema.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch (cause) {
    const why = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause)
    throw invalid(`${file} cannot be used: ${why}`, cause)
  }
}

function invalid(detail: string, cause?: unknown): AppError {
  return new AppError('BUNDLE_INVALID', detail, { cause })
}
