import { access } from 'node:fs/promises'
import { basename, dirname, extname } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyPluginAsync, FastifyReply } from 'fastify'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Clip } from '../../domain.js'
import { AppError } from '../../errors.js'
import { clipNotFound } from '../../gallery/clip-not-found.js'
import { thumbnailPath } from '../../ingest/thumbnails.js'
import { linkTo } from '../../media/source.js'
import { thumbnail } from '../../media/thumbnail.js'
import { pathBytes } from '../../path-text.js'
import { closedEarly } from '../closed-early.js'
import type { HttpParts } from '../parts.js'
import { ClipParams } from '../schemas.js'

const THUMBNAIL_AT = 0.1 // of the clip: what comes first is often black

export const mediaRoutes: FastifyPluginAsync<HttpParts> = async (fastify, { app, thumbnailDir }) => {
  await fastify.register(fastifyStatic, { root: thumbnailDir, serve: false })
  const http = fastify.withTypeProvider<ZodTypeProvider>()
  const params = ClipParams

  const media = {
    operationId: 'getMedia',
    summary: "A clip's file, whole or in ranges",
    params,
    produces: ['application/octet-stream'],
  }
  http.get('/v1/clips/:id/media', { schema: media }, async ({ params: { id } }, reply) => {
    const { path } = await presentClip(id)
    if (isText(path)) return sendFile(reply, path)
    const link = await linkTo(path, `media${extname(path)}`)
    reply.raw.once('close', () => void link[Symbol.asyncDispose]())
    return sendFile(reply, link.path)
  })

  const picture = {
    operationId: 'getThumbnail',
    summary: 'A small picture of a clip',
    params,
    produces: ['image/jpeg'],
  }
  http.get('/v1/clips/:id/thumbnail', { schema: picture }, async ({ params: { id } }, reply) => {
    const clip = await presentClip(id)
    if (!clip.hasVisual) throw new AppError('CLIP_HAS_NO_PICTURE', `Nothing can be seen in clip ${id}.`)
    const target = thumbnailPath(thumbnailDir, clip.hash)
    if (!(await exists(target))) {
      await thumbnail(clip.path, { at: clip.seconds * THUMBNAIL_AT, target, signal: closedEarly(reply) })
    }
    return sendFile(reply.header('cache-control', 'private, max-age=3600'), target)
  })

  async function presentClip(id: string): Promise<Clip> {
    const clip = await app.run(({ gallery }) => gallery.catalogue.clip(id))
    if (!clip) throw clipNotFound(id)
    if (!(await exists(clip.path)))
      throw new AppError('CLIP_FILE_MISSING', `${clip.path} is gone: bring it back, or remove the clip.`)
    return clip
  }
}

/** The content type is what the ending says and nothing may be run from it: files come from anywhere. */
function sendFile(reply: FastifyReply, path: string): FastifyReply {
  return reply
    .header('x-content-type-options', 'nosniff')
    .header('content-security-policy', 'sandbox')
    .sendFile(basename(path), dirname(path), { dotfiles: 'allow' })
}

/** Whether a path is as its text says; the sender of files knows text alone. */
const isText = (path: string): boolean => pathBytes(path).equals(Buffer.from(path))

function exists(path: string): Promise<boolean> {
  return access(pathBytes(path)).then(
    () => true,
    () => false,
  )
}
