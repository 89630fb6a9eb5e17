import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { stringify } from 'yaml'
import type { z } from 'zod'
import { PACKAGE_DIR } from '../config.js'
import { ClipBody, ClipForm, SearchBody, SearchForm, TagsBody, TagsForm } from './schemas.js'

/** Routes that take JSON, or a form with a file; each checks its own body, so the document learns of them here. */
const BODIES: Readonly<Record<string, { readonly json: z.ZodType; readonly form: z.ZodType }>> = {
  '/v1/search': { json: SearchBody, form: SearchForm },
  '/v1/tags': { json: TagsBody, form: TagsForm },
  '/v1/clips': { json: ClipBody, form: ClipForm },
}

const FILE = { type: 'string', format: 'binary', description: 'Any file that ffmpeg decodes.' }

/** Must be registered before the routes that it describes. */
export async function registerOpenapi(http: FastifyInstance): Promise<void> {
  const { version, description } = JSON.parse(
    await readFile(join(PACKAGE_DIR, 'package.json'), 'utf8'),
  )
  await http.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Earshot',
        version,
        description,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
    },
    transform: jsonSchemaTransform,
    transformObject: jsonSchemaTransformObject,
  })
}

interface ObjectSchema {
  readonly properties?: Record<string, unknown>
  readonly required?: readonly string[]
}

interface Document {
  readonly paths: Record<string, { post?: Record<string, unknown> }>
  readonly components: { schemas: Record<string, ObjectSchema> }
}

/** openapi.yaml, as the routes of a built server say it. */
export function openapiYaml(http: FastifyInstance): string {
  const document = http.swagger() as unknown as Document
  for (const [path, { json, form }] of Object.entries(BODIES)) {
    const post = document.paths[path]?.post
    if (!post) throw new Error(`No route POST ${path}`)
    post.requestBody = {
      required: true,
      content: {
        'multipart/form-data': {
          schema: withFile(document.components.schemas[inputName(form)] ?? {}),
        },
        'application/json': { schema: { $ref: `#/components/schemas/${inputName(json)}` } },
      },
    }
  }
  prune(document)
  return stringify(document, { aliasDuplicateObjects: false, lineWidth: 120 })
}

/** Schemas with an id are components: zod's registry has put them there, what goes in under a name of its own. */
const inputName = (schema: z.ZodType): string => `${schema.meta()?.id}Input`

/** A form's fields with the file that comes with them. */
function withFile({ properties, required = [], ...form }: ObjectSchema): ObjectSchema {
  return { ...form, properties: { file: FILE, ...properties }, required: ['file', ...required] }
}

/** Takes out components that nothing refers to: each is registered for both ways, and most go one way only. */
function prune({ paths, components }: Document): void {
  const used = new Set<string>()
  const visit = (value: unknown) => {
    for (const [, name = ''] of JSON.stringify(value).matchAll(/#\/components\/schemas\/(\w+)/g)) {
      if (used.has(name)) continue
      used.add(name)
      visit(components.schemas[name] ?? {})
    }
  }
  visit(paths)
  components.schemas = Object.fromEntries(
    Object.entries(components.schemas).filter(([name]) => used.has(name)),
  )
}
