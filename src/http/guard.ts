import type { FastifyRequest } from 'fastify'
import { type Authority, authorityOf, isAddress, isLoopback, parseAuthority } from '../authority.js'
import { AppError } from '../errors.js'

/** Configures which hosts and origins the server accepts. */
export interface GuardOptions {
  /** Names, with or without a port, by which clients reach the server; `*` allows every name. */
  readonly hosts: readonly string[]
  /** The address or name that the server listens on. */
  readonly host: string
}

/**
 * Refuses requests that a page of another site makes the user's browser send. It runs before the
 * body is read. `Host` must be an address or a name of this server, which stops DNS rebinding. A
 * target that is a whole URL must meet the same condition. `Origin` and `Sec-Fetch-Site` must match
 * this server if the browser sends them, which stops cross-site requests. Another site may link to
 * the server. Throws HOST_NOT_ALLOWED, ORIGIN_NOT_ALLOWED.
 */
export function refuseForeign(
  { headers, method, raw }: FastifyRequest,
  options: GuardOptions,
): void {
  const { host, origin } = headers
  if (countOf(raw.rawHeaders, 'host') > 1) throw hostNotAllowed('several names')
  const asked = host === undefined ? null : parseAuthority(host)
  if (host !== undefined && !isOwnHost(asked, options)) throw hostNotAllowed(host)
  const { url = '/' } = raw
  if (isWholeUrl(url) && !isOwnHost(authorityOf(url), options)) throw hostNotAllowed(url)
  if (origin !== undefined && !isOwnOrigin(origin, asked, options)) throw originNotAllowed(origin)
  const site = headers['sec-fetch-site']
  if (origin !== undefined || site === undefined || site === 'none' || site === 'same-origin')
    return
  const isRead = method === 'GET' || method === 'HEAD'
  if (!isRead || !isFollowedLink(headers)) throw notALink(String(site))
}

/** Returns whether a request target is a URL. Otherwise it is a path or `*`. */
const isWholeUrl = (target: string): boolean => !target.startsWith('/') && target !== '*'

/** Returns whether the user follows a link. Frames and objects have another destination. */
function isFollowedLink(headers: FastifyRequest['headers']): boolean {
  return headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
}

function isOwnHost(asked: Authority | null, { hosts, host }: GuardOptions): boolean {
  if (asked === null) return false
  const { name } = asked
  if (isAddress(name)) return true // no name server resolves an address
  return isLoopback(name) || name === host.toLowerCase() || isListed(asked, hosts)
}

function isOwnOrigin(origin: string, asked: Authority | null, { hosts }: GuardOptions): boolean {
  const own = authorityOf(origin)
  if (!own) return false // includes `null`, which sandboxed pages send
  return isListed(own, hosts) || (asked !== null && asked.name === own.name && samePort(asked, own))
}

/** Compares ports. If `Host` has no port, a proxy may use TLS, so both default ports match. */
function samePort(asked: Authority, origin: Authority): boolean {
  return asked.port === origin.port || (asked.port === '' && ['80', '443'].includes(origin.port))
}

function isListed({ name, port }: Authority, hosts: readonly string[]): boolean {
  return hosts.some((listed) => {
    if (listed === '*') return true
    const own = parseAuthority(listed)
    return own !== null && own.name === name && (own.port === '' || own.port === port)
  })
}

function countOf(rawHeaders: readonly string[], name: string): number {
  return rawHeaders.filter((text, i) => i % 2 === 0 && text.toLowerCase() === name).length
}

function hostNotAllowed(host: string): AppError {
  const name = host.slice(0, 100)
  const detail = `"${name}" is not a known name of the server: add it to EARSHOT_HOSTS.`
  return new AppError('HOST_NOT_ALLOWED', detail)
}

function originNotAllowed(origin: string): AppError {
  const site = `The request comes from another site (${origin.slice(0, 100)})`
  return new AppError('ORIGIN_NOT_ALLOWED', `${site}: add it to EARSHOT_HOSTS to allow it.`)
}

function notALink(site: string): AppError {
  const page = `A page of another site (${site.slice(0, 100)})`
  return new AppError(
    'ORIGIN_NOT_ALLOWED',
    `${page} sends the request. Another site may only link to the server.`,
  )
}
