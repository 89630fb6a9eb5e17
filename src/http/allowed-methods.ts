import type { FastifyInstance } from 'fastify'

/**
 * Returns a function that lists the methods of a path. It records each route when the route is
 * added, so call it before the first route.
 */
export function collectMethods(http: FastifyInstance): (path: string) => readonly string[] {
  const methods = new Map<string, Set<string>>() // by pattern, for example /v1/clips/:id
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
