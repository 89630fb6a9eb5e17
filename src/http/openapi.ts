import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import swagger from '@fastify/swagger'
import type { FastifyInstance } from 'fastify'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { stringify } from 'yaml'
import type { z } from 'zod'
import { PACKAGE_DIR } from '../config.js'
import { ClipBody, ClipForm, SearchBody, SearchForm, TagsBody, TagsForm } from './schemas.js'

/**
 * The bodies of routes that accept either JSON or a form with a file. These routes check their
 * bodies themselves, so fastify does not describe them.
 */
const BODIES: Readonly<Record<string, { readonly json: z.ZodType; readonly form: z.ZodType }>> = {
  '/v1/search': { json: SearchBody, form: SearchForm },
  '/v1/tags': { json: TagsBody, form: TagsForm },
  '/v1/clips': { json: ClipBody, form: ClipForm },
}

const FILE = { type: 'string', format: 'binary', description: 'Any file that ffmpeg decodes.' }

/** Registers the generator of the document. Call it before the routes are registered. */
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

/** Returns openapi.yaml for the routes of a server. */
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

/** Returns the component name of a request schema. The generator adds `Input` to its id. */
const inputName = (schema: z.ZodType): string => `${schema.meta()?.id}Input`

/** Adds the file part to the fields of a form. */
function withFile({ properties, required = [], ...form }: ObjectSchema): ObjectSchema {
  return { ...form, properties: { file: FILE, ...properties }, required: ['file', ...required] }
}

/** Removes unused components. The generator creates a request and a response variant of each. */
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
