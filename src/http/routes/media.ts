import { access } from 'node:fs/promises'
import type { FastifyPluginAsync } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { SingleFlight } from '../../concurrency/single-flight.js'
import type { Clip } from '../../domain/clip.js'
import { AppError } from '../../errors.js'
import { clipNotFound } from '../../gallery/catalogue/clip-id.js'
import { thumbnailPath } from '../../ingest/thumbnails.js'
import { readHeader } from '../../media/probe/read-header.js'
import { mediaTypeOf } from '../../media/process/formats.js'
import { thumbnail } from '../../media/thumbnail.js'
import { OpenedFile } from '../../storage/opened-file.js'
import { abortOnDisconnect } from '../abort-on-disconnect.js'
import type { HttpDeps } from '../http-deps.js'
import { bytes, DECODING, OPENING, problems } from '../responses.js'
import { ClipParams } from '../schemas.js'
import { sendFile } from '../send-file.js'

const THUMBNAIL_AT = 0.1 // as a fraction of the clip, because its start is often black
const MEDIA_TYPES = ['video/*', 'audio/*', 'image/*', 'application/octet-stream']
const NOT_MODIFIED = z.null().meta({ description: 'The copy of the client is current.' })
const MEDIA_TYPES_KEPT = 10_000
const FILE = [
  'REQUEST_INVALID',
  'PATH_NOT_ALLOWED',
  'CLIP_NOT_FOUND',
  'CLIP_FILE_MISSING',
  'PRECONDITION_FAILED',
  'RANGE_NOT_SATISFIABLE',
] as const

/** Registers the routes that send the file and the thumbnail of a clip. */
export const mediaRoutes: FastifyPluginAsync<HttpDeps> = async (fastify, { app, thumbnailDir }) => {
  const http = fastify.withTypeProvider<ZodTypeProvider>()
  const params = ClipParams
  const thumbnails = new SingleFlight()
  const mediaTypes = new Map<string, string>() // by content hash

  const media = {
    operationId: 'getMedia',
    summary: 'Return the file of a clip, or a range of it',
    params,
    response: {
      200: bytes('The whole file.', ...MEDIA_TYPES),
      206: bytes('The range asked for.', ...MEDIA_TYPES),
      304: NOT_MODIFIED,
      ...problems(...FILE, ...OPENING),
    },
  }
  http.get('/v1/clips/:id/media', { schema: media }, async (request, reply) => {
    const clip = await findClip(request.params.id)
    const file = await openClip(clip)
    reply.raw.once('close', () => void file[Symbol.asyncDispose]())
    const contentType = await mediaType(clip, file, abortOnDisconnect(reply))
    return sendFile(file, request, reply, { contentType, cacheControl: 'private, max-age=0' })
  })

  const picture = {
    operationId: 'getThumbnail',
    summary: 'Return a thumbnail of a clip',
    params,
    response: {
      200: bytes('A JPEG image.', 'image/jpeg'),
      206: bytes('The range asked for.', 'image/jpeg'),
      304: NOT_MODIFIED,
      ...problems(...FILE, ...DECODING, 'CLIP_HAS_NO_PICTURE', 'FILE_NOT_FOUND'),
    },
  }
  http.get('/v1/clips/:id/thumbnail', { schema: picture }, async (request, reply) => {
    const clip = await findClip(request.params.id)
    if (!clip.hasVisual || clip.hash === null) {
      throw new AppError('CLIP_HAS_NO_PICTURE', `Clip ${clip.id} has no picture.`)
    }
    const target = thumbnailPath(thumbnailDir, clip.hash)
    const make = (signal: AbortSignal) => makeThumbnail(clip, target, signal)
    if (!(await exists(target))) await thumbnails.join(target, abortOnDisconnect(reply), make)
    const file = await OpenedFile.open(target)
    reply.raw.once('close', () => void file[Symbol.asyncDispose]())
    return sendFile(file, request, reply, {
      contentType: 'image/jpeg',
      cacheControl: 'private, max-age=3600',
    })
  })

  async function findClip(id: string): Promise<Clip> {
    const clip = await app.run(({ gallery }) => gallery.catalogue.clip(id))
    if (!clip) throw clipNotFound(id)
    return clip
  }

  /** Opens the file of a clip if it is inside a served folder. */
  async function openClip({ path }: Clip): Promise<OpenedFile> {
    try {
      return await OpenedFile.open(path, { within: app.servedFolders })
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'FILE_NOT_FOUND') throw error
      const detail = 'The file of the clip is missing: restore the file, or remove the clip.'
      throw new AppError('CLIP_FILE_MISSING', detail, { cause: error })
    }
  }

  async function makeThumbnail(clip: Clip, target: string, signal: AbortSignal): Promise<void> {
    await using file = await openClip(clip)
    using slot = await app.decoders.enter('query', signal)
    await thumbnail(file, { at: clip.seconds * THUMBNAIL_AT, target, slot, signal })
  }

  /** Returns the media type of a file from its content. Ignores the file name. */
  async function mediaType(clip: Clip, file: OpenedFile, signal: AbortSignal) {
    const content = clip.hash ?? clip.id
    const known = mediaTypes.get(content)
    if (known !== undefined) return known
    using slot = await app.decoders.enter('query', signal)
    const { format } = await readHeader(file, { slot, signal })
    const found = mediaTypeOf(await exactFormat(format, file), clip.hasVisual)
    const [oldest] = mediaTypes.size < MEDIA_TYPES_KEPT ? [] : mediaTypes.keys()
    if (oldest !== undefined) mediaTypes.delete(oldest)
    mediaTypes.set(content, found)
    return found
  }
}

/** Distinguishes WebM from Matroska. ffprobe does not, but browsers play WebM only by its type. */
async function exactFormat(format: string, file: OpenedFile): Promise<string> {
  if (format !== 'matroska,webm') return format
  return (await file.read(64, 0)).includes('webm') ? 'webm' : 'matroska'
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}
