import type { FastifyRequest } from 'fastify'
import { type Authority, authorityOf, isAddress, isLoopback, parseAuthority } from '../authority.js'
import { AppError } from '../errors.js'

export interface GuardOptions {
  /** Names, with or without a port, by which clients reach the server; `*` allows every name. */
  readonly hosts: readonly string[]
  /** The address or name that the server listens on. */
  readonly host: string
}

/**
 * Refuses requests that a page of another site makes the user's browser send, before their body is
 * read. `Host`, and a target that is a whole URL, must be a name of this server or an address, so
 * that a page cannot reach it by a name that was bound to this address (DNS rebinding). `Origin`
 * and `Sec-Fetch-Site`, where a browser sends them, must be of this server (cross-site requests).
 * Other sites may only link here. Throws HOST_NOT_ALLOWED, ORIGIN_NOT_ALLOWED.
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

/** Requests have a path as their target, `*`, or a URL as a proxy gets it. */
const isWholeUrl = (target: string): boolean => !target.startsWith('/') && target !== '*'

/** The browser also navigates to frames and objects, which are no pages that the user goes to. */
function isFollowedLink(headers: FastifyRequest['headers']): boolean {
  return headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
}

function isOwnHost(asked: Authority | null, { hosts, host }: GuardOptions): boolean {
  if (asked === null) return false
  const { name } = asked
  if (isAddress(name)) return true // no name server had a say in it
  return isLoopback(name) || name === host.toLowerCase() || isListed(asked, hosts)
}

function isOwnOrigin(origin: string, asked: Authority | null, { hosts }: GuardOptions): boolean {
  const own = authorityOf(origin)
  if (!own) return false // also `null`, as sandboxed pages send it
  return isListed(own, hosts) || (asked !== null && asked.name === own.name && samePort(asked, own))
}

/** A proxy may speak TLS for the server, so that a port that is not said may be that of either. */
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
  const detail = `The server is not known as "${host.slice(0, 100)}": add its name to EARSHOT_HOSTS.`
  return new AppError('HOST_NOT_ALLOWED', detail)
}

function originNotAllowed(origin: string): AppError {
  const detail = `The request comes from another site (${origin.slice(0, 100)}): add it to EARSHOT_HOSTS to allow it.`
  return new AppError('ORIGIN_NOT_ALLOWED', detail)
}

function notALink(site: string): AppError {
  const page = `A page of another site (${site.slice(0, 100)})`
  return new AppError('ORIGIN_NOT_ALLOWED', `${page} makes the request. It may only link here.`)
}
