import type { FastifyInstance } from 'fastify'

/** Collects the methods of each route as routes are added. Must be called before the first. */
export function collectMethods(http: FastifyInstance): (path: string) => readonly string[] {
  const methods = new Map<string, Set<string>>() // by pattern, as /v1/clips/:id
  http.addHook('onRoute', ({ url, method }) => {
    const known = methods.get(url) ?? new Set<string>()
    methods.set(url, known)
    for (const each of [method].flat()) known.add(each)
  })
  return (path) => {
    const found = [...methods].filter(([pattern]) => matches(pattern, path))
    return [...new Set(found.flatMap(([, allowed]) => [...allowed]))].sort()
  }
}

function matches(pattern: string, path: string): boolean {
  const [wanted, given] = [pattern, path].map((text) => text.replace(/\/$/, '').split('/'))
  return (
    wanted?.length === given?.length &&
    (wanted ?? []).every((part, i) => part.startsWith(':') || part === given?.[i])
  )
}
