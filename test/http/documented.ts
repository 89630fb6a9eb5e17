import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { parse } from 'yaml'
import { PACKAGE_DIR } from '../../src/config.js'

interface Operation {
  readonly responses: Readonly<Record<string, { readonly description: string }>>
}

interface Answered {
  readonly method: string
  readonly path: string
  readonly status: number
  readonly code: string
}

type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>

const text = readFileSync(join(PACKAGE_DIR, 'openapi.yaml'), 'utf8')
export const { paths } = parse(text) as { readonly paths: Paths }

/** Returns the codes of an operation for a status. Without a status, returns the shared codes. */
export function codesOf({ responses }: Operation, status?: number): readonly string[] {
  const { description = '' } = responses[String(status)] ?? responses.default ?? {}
  return description.match(/\b[A-Z]{2,}(_[A-Z]+)*\b/g) ?? []
}

/** Returns whether openapi.yaml lists a code for a route. An unknown path has one code. */
export function isDocumented({ method, path, status, code }: Answered): boolean {
  const route = Object.keys(paths).find((pattern) => matches(pattern, path))
  if (route === undefined && code === 'ROUTE_NOT_FOUND') return true
  const operations = paths[route ?? ANY_PATH] ?? {}
  const operation = operations[method === 'HEAD' ? 'get' : method.toLowerCase()]
  const [any] = Object.values(operations)
  const codes = operation ? codesOf(operation, status) : any ? codesOf(any) : []
  return codes.includes(code)
}

const ANY_PATH = '/v1/labels' // stands for the codes of every route

function matches(pattern: string, path: string): boolean {
  return new RegExp(`^${pattern.replaceAll(/\{\w+\}/g, '[^/]*')}/?$`).test(path)
}

/** Fails a test if a route returns a problem that it does not document. */
export function expectDocumented(http: FastifyInstance, test: Pick<TestContext, 'after'>): void {
  const undocumented: Answered[] = []
  http.server.prependListener('request', ({ method = '', url = '' }, response) => {
    const { end } = response
    const checkAndEnd = (...args: unknown[]) => {
      const [body] = args
      if (typeof body === 'string' && body.startsWith(PROBLEM_START)) {
        const { status, code } = JSON.parse(body)
        const answered = { method, path: new URL(url, 'http://localhost').pathname, status, code }
        if (!isDocumented(answered)) undocumented.push(answered)
      }
      return Reflect.apply(end, response, args)
    }
    response.end = checkAndEnd as typeof end
  })
  test.after(() => assert.deepEqual(undocumented, []))
}

const PROBLEM_START = '{"type":"urn:earshot:error:'
