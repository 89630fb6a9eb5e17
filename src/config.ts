import { realpathSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { delimiter, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { parseAuthority } from './authority.js'
import { AppError } from './errors.js'

/** The execution providers of ONNX Runtime that Earshot can use. */
export const PROVIDERS = ['tensorrt', 'cuda', 'cpu'] as const
/** One of PROVIDERS. */
export type Provider = (typeof PROVIDERS)[number]

const list = (separator: string) => (text: string) =>
  text
    .split(separator)
    .map((part) => part.trim())
    .filter(Boolean)

const HostEntry = z.string().refine((entry) => entry === '*' || parseAuthority(entry) !== null, {
  error: ({ input }) => `Expected a name or an address, with an optional port, got "${input}"`,
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

/** The configuration of the process. Each part of the program gets its own section. */
export interface Config {
  readonly library: LibraryConfig
  readonly encoder: EncoderConfig
  readonly ingest: IngestConfig
  readonly http: HttpConfig
  readonly log: LogLevel
}

/** The data folder and the bundle of the library. */
export interface LibraryConfig {
  readonly dataDir: string
  readonly bundle: string // for a new library: a name under models/, or a path
  /** If true, the library must have this bundle. If false, the bundle of the library applies. */
  readonly isBundleGiven: boolean
  readonly bundleDir: string
}

/** The execution providers and the threads of the encoder. */
export interface EncoderConfig {
  readonly providers: readonly Provider[] // ordered by preference
  readonly threads: number
}

/** The folders that the server can index. */
export interface IngestConfig {
  readonly roots: readonly string[] // folders, by real path; HTTP clients can name their files
  readonly watch: readonly string[] // folders, by real path; the server indexes their changes
}

/** The address and the limits of the HTTP server. */
export interface HttpConfig {
  readonly host: string
  readonly port: number
  readonly hosts: readonly string[] // further names of the server; `*` allows any name
  readonly allowUnauthenticated: boolean // on an address that other machines can reach
  readonly drainSeconds: number // after SIGTERM: not ready, but still accepts requests
  readonly shutdownSeconds: number // time for running requests to end
}

/** The lowest level that the log contains. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** The folder of the package, with models/, migrations/ and openapi.yaml. */
export const PACKAGE_DIR = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Reads the configuration from environment variables. Throws CONFIG_INVALID, which names the
 * variable.
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const parsed = Environment.safeParse(env)
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    throw new AppError('CONFIG_INVALID', problems.join('; '))
  }
  const { data } = parsed
  const bundle = bundleName(data.EARSHOT_BUNDLE ?? 'starter')
  return deepFreeze({
    library: {
      dataDir: resolve(data.EARSHOT_DATA),
      bundle,
      isBundleGiven: data.EARSHOT_BUNDLE !== undefined,
      bundleDir: bundleFolder(bundle),
    },
    encoder: { providers: data.EARSHOT_PROVIDERS, threads: data.EARSHOT_THREADS },
    ingest: {
      roots: data.EARSHOT_ROOTS.map(realFolder),
      watch: data.EARSHOT_WATCH.map(realFolder),
    },
    http: {
      host: data.EARSHOT_HOST,
      port: data.EARSHOT_PORT,
      hosts: data.EARSHOT_HOSTS,
      allowUnauthenticated: data.EARSHOT_ALLOW_UNAUTHENTICATED === '1',
      drainSeconds: data.EARSHOT_DRAIN_SECONDS,
      shutdownSeconds: data.EARSHOT_SHUTDOWN_SECONDS,
    },
    log: data.EARSHOT_LOG,
  })
}

function deepFreeze<T extends object>(value: T): T {
  for (const each of Object.values(value)) {
    if (typeof each === 'object' && each !== null) deepFreeze(each)
  }
  return Object.freeze(value)
}

/**
 * Returns the real path of a folder. Links are resolved once: a later change of a link has no
 * effect.
 */
function realFolder(folder: string): string {
  try {
    return realpathSync(resolve(folder))
  } catch {
    return resolve(folder) // it may not be mounted yet
  }
}

/**
 * Returns the name of a bundle under models/ (`starter`) unchanged, and a path (`./my/bundle`) as
 * an absolute path.
 */
export function bundleName(bundle: string): string {
  return /[\\/]/.test(bundle) ? resolve(bundle) : bundle
}

/** Returns the folder of a bundle name. */
export function bundleFolder(name: string): string {
  return resolve(PACKAGE_DIR, 'models', name)
}
