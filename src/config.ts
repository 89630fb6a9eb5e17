import { realpathSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { delimiter, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { parseAuthority } from './authority.js'
import { AppError } from './errors.js'

/** Every limit of the product, in one place. Bytes, seconds and counts. */
export const LIMITS = Object.freeze({
  uploadBytes: 2 * 1024 ** 3,
  queryUploadBytes: 512 * 1024 ** 2,
  bodyBytes: 1024 ** 2,
  fieldBytes: 64 * 1024, // of one field of a form
  uploads: 64, // that may arrive at once
  uploadBytesPerSecond: 1024, // least rate of an upload, measured over the window
  uploadWindowMs: 30_000,
  clipSeconds: 24 * 3600,
  querySeconds: 600,
  hits: 200,
  pageOfClips: 200,
  jobSources: 1000,
  labels: 527,
  momentsPerHit: 5,
  rangeSeconds: 0.05, // the shortest range that can be asked with
  pictureSidePixels: 16,
  stallMs: 30_000, // ffmpeg without a byte of progress
  decoderBytes: 512 * 1024 ** 2, // memory of one ffmpeg or ffprobe
  largeDecoderBytes: 3 * 1024 ** 3, // at most, of one that decodes a large picture or video
  queryCpuSeconds: 300, // of one ffmpeg that decodes a query
  animationPixels: 2 ** 30, // pixels x frames of an animated WebP
  waitingQueries: 16, // for a decoder; a further one is refused
  queryWaitMs: 10_000, // for a decoder
  probeMs: 20_000,
  requestMs: 1_800_000, // for a request to arrive whole: a large upload on a slow line
})

export const PROVIDERS = ['tensorrt', 'cuda', 'cpu'] as const
export type Provider = (typeof PROVIDERS)[number]

const list = (separator: string) => (text: string) =>
  text
    .split(separator)
    .map((part) => part.trim())
    .filter(Boolean)

const HostEntry = z.string().refine((entry) => entry === '*' || parseAuthority(entry) !== null, {
  error: ({ input }) => `Expected a name or an address, with or without a port, got "${input}"`,
})

const Environment = z.object({
  EARSHOT_DATA: z.string().min(1).default('earshot-data'),
  EARSHOT_BUNDLE: z.string().min(1).optional(),
  EARSHOT_PROVIDERS: z
    .string()
    .default('tensorrt,cuda,cpu')
    .transform(list(','))
    .pipe(z.array(z.enum(PROVIDERS)).min(1)),
  EARSHOT_THREADS: z.coerce
    .number()
    .int()
    .min(1)
    .max(256)
    .default(Math.ceil(availableParallelism() / 2)),
  EARSHOT_HOST: z.string().min(1).default('127.0.0.1'),
  EARSHOT_PORT: z.coerce.number().int().min(0).max(65535).default(7411),
  EARSHOT_HOSTS: z.string().default('').transform(list(',')).pipe(z.array(HostEntry)),
  EARSHOT_ALLOW_UNAUTHENTICATED: z.enum(['0', '1']).default('0'),
  EARSHOT_DRAIN_SECONDS: z.coerce.number().min(0).max(3600).default(0),
  EARSHOT_SHUTDOWN_SECONDS: z.coerce.number().min(1).max(3600).default(10),
  EARSHOT_ROOTS: z.string().default('').transform(list(delimiter)),
  EARSHOT_WATCH: z.string().default('').transform(list(delimiter)),
  EARSHOT_LOG: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
})

export interface Config {
  readonly dataDir: string
  readonly bundle: string // of a new library: a name under models/, or a path
  readonly isBundleGiven: boolean // then the library must be of it; else a library is served with its own
  readonly bundleDir: string
  readonly providers: readonly Provider[]
  readonly threads: number
  readonly host: string
  readonly port: number
  readonly hosts: readonly string[] // further names by which clients reach the server; `*`: any
  readonly allowUnauthenticated: boolean // on an address that other machines reach
  readonly drainSeconds: number // after SIGTERM, in which it is unready and still takes requests
  readonly shutdownSeconds: number // for requests under way to end
  readonly roots: readonly string[] // folders, by real path, whose files HTTP clients may name
  readonly watch: readonly string[] // folders, by real path, that the server keeps the library in step with
  readonly log: 'debug' | 'info' | 'warn' | 'error' | 'silent'
}

/** The folder of the package: models/, migrations/ and openapi.yaml lie in it. */
export const PACKAGE_DIR = fileURLToPath(new URL('../..', import.meta.url))

/** Reads the environment; what contradicts itself fails here, naming the variable. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const parsed = Environment.safeParse(env)
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    throw new AppError('CONFIG_INVALID', problems.join('; '))
  }
  const { data } = parsed
  const bundle = bundleName(data.EARSHOT_BUNDLE ?? 'starter')
  return Object.freeze({
    dataDir: resolve(data.EARSHOT_DATA),
    bundle,
    isBundleGiven: data.EARSHOT_BUNDLE !== undefined,
    bundleDir: bundleFolder(bundle),
    providers: Object.freeze(data.EARSHOT_PROVIDERS),
    threads: data.EARSHOT_THREADS,
    host: data.EARSHOT_HOST,
    port: data.EARSHOT_PORT,
    hosts: Object.freeze(data.EARSHOT_HOSTS),
    allowUnauthenticated: data.EARSHOT_ALLOW_UNAUTHENTICATED === '1',
    drainSeconds: data.EARSHOT_DRAIN_SECONDS,
    shutdownSeconds: data.EARSHOT_SHUTDOWN_SECONDS,
    roots: Object.freeze(data.EARSHOT_ROOTS.map(realFolder)),
    watch: Object.freeze(data.EARSHOT_WATCH.map(realFolder)),
    log: data.EARSHOT_LOG,
  })
}

/** Links are resolved once, so that one that changes later leads nowhere else. */
function realFolder(folder: string): string {
  try {
    return realpathSync(resolve(folder))
  } catch {
    return resolve(folder) // not mounted yet, perhaps
  }
}

/** A bundle is named (`starter`, under models/) or pointed at (`./my/bundle`, which becomes an absolute path). */
export function bundleName(bundle: string): string {
  return /[\\/]/.test(bundle) ? resolve(bundle) : bundle
}

/** The folder of a bundle's name. */
export function bundleFolder(name: string): string {
  return resolve(PACKAGE_DIR, 'models', name)
}
