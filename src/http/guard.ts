import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { AppError } from '../errors.js'

/** Names that always lead to this machine. */
const isLocalName = (name: string): boolean => name === 'localhost' || name.endsWith('.localhost')

export interface GuardOptions {
  /** Names, with or without a port, by which clients reach the server; `*` allows every name. */
  readonly hosts: readonly string[]
  /** The address or name that the server listens on. */
  readonly host: string
}

interface Authority {
  readonly name: string
  readonly port: string // '' if the text does not say one
}

/**
 * Refuses requests that a page of another site makes the user's browser send, before their body is
 * read. `Host` must be a name of this server or an address, so that a page cannot reach it by a name
 * that was bound to this address (DNS rebinding). `Origin` and `Sec-Fetch-Site`, where a browser sends
 * them, must be of this server (cross-site requests). Throws HOST_NOT_ALLOWED, ORIGIN_NOT_ALLOWED.
 */
export function refuseForeign({ headers, method, raw }: FastifyRequest, options: GuardOptions): void {
  const { host, origin } = headers
  if (countOf(raw.rawHeaders, 'host') > 1) throw hostNotAllowed('several names')
  const asked = host === undefined ? null : parseAuthority(host)
  if (host !== undefined && (!asked || !isOwnHost(asked, options))) throw hostNotAllowed(host)
  if (origin !== undefined && !isOwnOrigin(origin, asked, options)) throw originNotAllowed(origin)
  const site = headers['sec-fetch-site']
  if (origin !== undefined || site === undefined || site === 'none' || site === 'same-origin') return
  const isRead = method === 'GET' || method === 'HEAD'
  if (isRead && headers['sec-fetch-mode'] === 'navigate') return // the user followed a link
  throw originNotAllowed(String(site))
}

function isOwnHost({ name, port }: Authority, { hosts, host }: GuardOptions): boolean {
  const isAddress = isIP(name) !== 0 // no name server had a say in it
  return isAddress || isLocalName(name) || name === host.toLowerCase() || isListed({ name, port }, hosts)
}

function isOwnOrigin(origin: string, asked: Authority | null, { hosts }: GuardOptions): boolean {
  const own = parseOrigin(origin)
  if (!own) return false
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

function parseOrigin(origin: string): Authority | null {
  if (!URL.canParse(origin)) return null // `null`, as sandboxed pages send it
  const { protocol, hostname, port } = new URL(origin)
  if (protocol !== 'http:' && protocol !== 'https:') return null
  return { name: plainName(hostname), port: port || (protocol === 'https:' ? '443' : '80') }
}

function parseAuthority(text: string): Authority | null {
  const [, name, port = ''] = /^(\[[0-9a-f:.]+\]|[^:[\]/@\s]+)(?::(\d{1,5}))?$/i.exec(text) ?? []
  return name === undefined ? null : { name: plainName(name), port }
}

/** In lower case, without the brackets of an address and the dot of a full name. */
const plainName = (name: string): string =>
  name
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')

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
