import { BlockList, isIP } from 'node:net'

/** The name of a server in a URL, in the `Host` header or in a setting. */
export interface Authority {
  readonly name: string // or an address; lower case, without brackets and final dot
  readonly port: string // '' if the text has no port
}

const AUTHORITY = /^(?:\[([^\]\s]+)\]|([\w-]+(?:\.[\w-]+)*)\.?)(?::(\d{1,5}))?$/
const LARGEST_PORT = 65_535
const PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' }

/**
 * Parses a name or an address with an optional port. An IPv6 address has brackets. Returns null if
 * the text is invalid.
 */
export function parseAuthority(text: string): Authority | null {
  const [, address, host, port = ''] = AUTHORITY.exec(text) ?? []
  if (Number(port) > LARGEST_PORT) return null
  if (host !== undefined) return { name: host.toLowerCase(), port }
  if (address === undefined || isIP(withoutZone(address)) !== 6) return null
  return { name: address.toLowerCase().replace('%25', '%'), port }
}

/**
 * Returns the server of an http or https URL. If the URL has no port, it has the default port of
 * the scheme. Returns null for other URLs.
 */
export function authorityOf(url: string): Authority | null {
  if (!URL.canParse(url)) return null
  const { protocol, host } = new URL(url)
  const authority = parseAuthority(host)
  const defaultPort = PORTS[protocol]
  return authority && defaultPort ? { ...authority, port: authority.port || defaultPort } : null
}

/** Returns whether a name is an IP address. */
export const isAddress = (name: string): boolean => isIP(withoutZone(name)) !== 0

/** Returns whether a name or an address, without brackets, always refers to this machine. */
export function isLoopback(name: string): boolean {
  const address = withoutZone(name)
  const family = isIP(address)
  if (family === 0) return LOCAL_NAME.test(name)
  return LOOPBACK.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

const LOCAL_NAME = /^([\w-]+\.)*localhost\.?$/i
const LOOPBACK = new BlockList() // also matches IPv4 addresses in IPv6 notation
LOOPBACK.addSubnet('127.0.0.0', 8)
LOOPBACK.addAddress('::1', 'ipv6')

/** Removes the zone of a link-local address. `fe80::1%eth0` has the zone `eth0`. */
const withoutZone = (address: string): string => address.replace(/%.+$/, '')
