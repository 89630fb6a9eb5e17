import { BlockList, isIP } from 'node:net'

/** How a server is named in a URL, in the `Host` of a request or in a setting. */
export interface Authority {
  readonly name: string // or address; in lower case, without brackets and without a dot at the end
  readonly port: string // '' if the text does not say one
}

const AUTHORITY = /^(?:\[([^\]\s]+)\]|([\w-]+(?:\.[\w-]+)*)\.?)(?::(\d{1,5}))?$/
const LARGEST_PORT = 65_535
const PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' }

/** Reads a name or an address, with or without a port. An IPv6 address has brackets around it. */
export function parseAuthority(text: string): Authority | null {
  const [, address, host, port = ''] = AUTHORITY.exec(text) ?? []
  if (Number(port) > LARGEST_PORT) return null
  if (host !== undefined) return { name: host.toLowerCase(), port }
  if (address === undefined || isIP(withoutZone(address)) !== 6) return null
  return { name: address.toLowerCase().replace('%25', '%'), port }
}

/** The server of an http or https URL, with the port of the scheme if the URL does not say one. */
export function authorityOf(url: string): Authority | null {
  if (!URL.canParse(url)) return null
  const { protocol, host } = new URL(url)
  const authority = parseAuthority(host)
  const defaultPort = PORTS[protocol]
  return authority && defaultPort ? { ...authority, port: authority.port || defaultPort } : null
}

export const isAddress = (name: string): boolean => isIP(withoutZone(name)) !== 0

/** Whether a name or an address, without brackets, always leads to this machine. */
export function isLoopback(name: string): boolean {
  const address = withoutZone(name)
  const family = isIP(address)
  if (family === 0) return LOCAL_NAME.test(name)
  return LOOPBACK.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

const LOCAL_NAME = /^([\w-]+\.)*localhost\.?$/i
const LOOPBACK = new BlockList() // also finds IPv4 addresses that are written as IPv6
LOOPBACK.addSubnet('127.0.0.0', 8)
LOOPBACK.addAddress('::1', 'ipv6')

/** An address of a link has the network interface after it, as in `fe80::1%eth0`. */
const withoutZone = (address: string): string => address.replace(/%.+$/, '')
