import { connect, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import type { App } from '../../src/app.js'
import { buildHttp } from '../../src/http/http.js'
import { fixture, temporaryApp } from '../workplace.js'
import { expectDocumented } from './documented.js'

export interface Served {
  readonly app: App
  readonly http: FastifyInstance
  readonly url: string
}

/** Starts a server with an empty library and the small test bundle. */
export async function served(
  test: Pick<TestContext, 'after'>,
  settings: Record<string, string> = {},
): Promise<Served> {
  const app = await temporaryApp(test, { EARSHOT_BUNDLE: fixture('tiny-cavmae'), ...settings })
  const http = await buildHttp(app)
  expectDocumented(http, test)
  test.after(() => http.close())
  return { app, http, url: await http.listen({ port: 0, host: '127.0.0.1' }) }
}

export interface FormPart {
  readonly headers: readonly string[]
  readonly data: Buffer | string
}

export const filePart = (data: Buffer, name: string): FormPart => ({
  headers: [`Content-Disposition: form-data; name="file"; filename="${name}"`],
  data,
})

export const formField = (name: string, value: string | number): FormPart => ({
  headers: [`Content-Disposition: form-data; name="${name}"`],
  data: String(value),
})

/** Returns the body of a form as bytes. */
export function formBody(parts: readonly FormPart[]): Buffer {
  const pieces = parts.flatMap(({ headers, data }) => [
    Buffer.from(['--X', ...headers, '', ''].join('\r\n')),
    Buffer.from(data),
    Buffer.from('\r\n'),
  ])
  return Buffer.concat([...pieces, Buffer.from('--X--\r\n')])
}

export const FORM_TYPE = { 'content-type': 'multipart/form-data; boundary=X' }

export function postForm(url: string, parts: readonly FormPart[]): Promise<Response> {
  return fetch(url, { method: 'POST', headers: FORM_TYPE, body: formBody(parts) })
}

/** Sends a whole form on its own connection, which the caller can close at any time. */
export function sendForm(url: string, route: string, body: Buffer): Socket {
  const { hostname, port, host } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  const lines = [
    `POST ${route} HTTP/1.1`,
    `Host: ${host}`,
    `Content-Type: ${FORM_TYPE['content-type']}`,
    `Content-Length: ${body.length}`,
  ]
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  socket.write(body)
  return socket
}
