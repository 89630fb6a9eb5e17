import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, it } from 'node:test'
import { openApp } from '../../src/app.js'
import { buildHttp } from '../../src/http/http.js'
import { serve } from '../../src/server.js'
import { start } from '../cli/earshot.js'
import { fixture, temporaryDir, testConfig } from '../workplace.js'
import { served } from './served.js'

/** Sends raw lines and returns the status line and headers of the answer. */
async function raw(url: string, lines: readonly string[], body = ''): Promise<string> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`)
  return await text(socket)
}

const statusOf = (answer: string): number => Number(answer.split(' ')[1])

/** Contains the headers of a browser that follows a link from another site to this server. */
const followed = (destination: string): readonly string[] => [
  'Sec-Fetch-Site: cross-site',
  'Sec-Fetch-Mode: navigate',
  `Sec-Fetch-Dest: ${destination}`,
]

describe('a server on loopback', () => {
  it('is used by its own names and addresses, with and without a browser', async (test) => {
    const { url } = await served(test, { EARSHOT_HOSTS: 'media.example,proxy.example:8443' })
    const { port } = new URL(url)
    const allowed: readonly (readonly string[])[] = [
      ['Host: localhost'],
      [`Host: LOCALHOST:${port}`],
      ['Host: localhost.'],
      ['Host: app.localhost:7411'],
      ['Host: 127.0.0.1'],
      ['Host: [::1]:7411'],
      ['Host: 192.0.2.7:80'],
      ['Host: media.example'],
      ['Host: media.example:9999'],
      ['Host: proxy.example:8443'],
      [
        `Host: localhost:${port}`,
        `Origin: http://localhost:${port}`,
        'Sec-Fetch-Site: same-origin',
      ],
      ['Host: media.example', 'Origin: https://media.example', 'Sec-Fetch-Site: same-origin'],
      [`Host: 127.0.0.1:${port}`, 'Origin: https://media.example', 'Sec-Fetch-Site: cross-site'],
      ['Host: localhost', 'Sec-Fetch-Site: none', 'Sec-Fetch-Mode: navigate'],
      ['Host: localhost', 'Sec-Fetch-Site: same-origin', 'Sec-Fetch-Dest: iframe'],
      ['Host: localhost', ...followed('document')],
      ['Host: [fe80::1%25eth0]'],
      ['Host: [fe80::1%eth0]:7411'],
    ]
    for (const headers of allowed) {
      const answer = await raw(url, ['GET /v1/clips HTTP/1.1', ...headers, 'Connection: close'])
      assert.equal(statusOf(answer), 200, headers.join())
    }
    assert.equal(statusOf(await raw(url, ['GET /healthz HTTP/1.0'])), 200)
  })

  it('is not used by pages of other sites, nor by names that were bound to it', async (test) => {
    const { url } = await served(test, { EARSHOT_HOSTS: 'proxy.example:8443' })
    const { port } = new URL(url)
    const own = `Host: 127.0.0.1:${port}`
    const refused: readonly (readonly [status: number, ...headers: string[]])[] = [
      [421, 'Host: attacker.example'],
      [421, `Host: attacker.example:${port}`, `Origin: http://attacker.example:${port}`],
      [421, 'Host: localhost.attacker.example'],
      [421, 'Host: proxy.example:80'],
      [421, 'Host: 127.0.0.1.attacker.example'],
      [403, own, 'Origin: https://attacker.example'],
      [403, own, 'Origin: null'],
      [403, own, 'Origin: http://127.0.0.1:1'],
      [403, own, 'Origin: http://localhost:3000', 'Sec-Fetch-Site: same-site'],
      [403, own, 'Origin: file://'],
      [403, own, 'Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: no-cors'],
      [403, own, 'Sec-Fetch-Site: same-site', 'Sec-Fetch-Mode: no-cors'],
      [403, own, 'Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: navigate'],
      ...['iframe', 'frame', 'object', 'embed'].map((by) => [403, own, ...followed(by)] as const),
      [421, 'Host: [fe80::1%25eth0].attacker.example'],
      [421, 'Host: [attacker.example]'],
      [421, 'Host: 127.0.0.1:99999'],
    ]
    for (const [status, ...headers] of refused) {
      for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS']) {
        const answer = await raw(url, [
          `${method} /v1/clips HTTP/1.1`,
          ...headers,
          'Content-Length: 0',
          'Connection: close',
        ])
        assert.equal(statusOf(answer), status, `${method} ${headers.join()}`)
        assert.match(answer, /application\/problem\+json/)
        assert.doesNotMatch(answer, /access-control-allow/i)
      }
    }
    const form = ['POST /v1/jobs/1/pause HTTP/1.1', own, ...followed('document')]
    assert.equal(statusOf(await raw(url, [...form, 'Connection: close', 'Content-Length: 0'])), 403)
    const two = ['GET /v1/clips HTTP/1.1', own, 'Host: attacker.example', 'Connection: close']
    assert.ok([400, 421].includes(statusOf(await raw(url, two))))
  })

  it('is not used by a foreign name in a whole URL, even if Host is right', async (test) => {
    const { url } = await served(test, { EARSHOT_HOSTS: 'proxy.example' })
    const host = `Host: ${new URL(url).host}`
    const get = (target: string) => raw(url, [`GET ${target} HTTP/1.1`, host, 'Connection: close'])

    for (const target of [
      'http://attacker.example/v1/clips',
      'HTTP://attacker.example/v1/clips',
      'http://attacker.example',
      'http://localhost@attacker.example/v1/clips',
      'http://localhost.attacker.example:80/v1/clips',
    ]) {
      const answer = await get(target)
      assert.equal(statusOf(answer), 421, target)
      assert.match(answer, /"code":"HOST_NOT_ALLOWED"/)
    }
    for (const name of ['localhost', '127.0.0.1:1', '[::1]', 'proxy.example']) {
      assert.equal(statusOf(await get(`http://${name}/v1/clips`)), 200, name)
    }
  })

  it('refuses a foreign upload before it reads it', async (test) => {
    const { url } = await served(test)
    const { hostname, port, host } = new URL(url)
    const socket = connect(Number(port), hostname)
    const head = ['POST /v1/clips HTTP/1.1', `Host: ${host}`, 'Origin: https://attacker.example']
    socket.write([...head, 'Content-Type: multipart/form-data; boundary=X'].join('\r\n'))
    socket.write('\r\nContent-Length: 1000000000\r\n\r\n--X\r\n')

    const [answer] = await once(socket, 'data')
    socket.destroy()

    assert.equal(statusOf(String(answer)), 403)
  })
})

describe('an address that other machines reach', () => {
  it('is listened on only where that is allowed by name', async (test) => {
    const dir = await temporaryDir(test)
    const settings = { EARSHOT_BUNDLE: fixture('tiny-cavmae'), EARSHOT_PORT: '0' }

    for (const host of ['0.0.0.0', '::', '192.0.2.1', 'media.example', '127.attacker.example']) {
      const config = testConfig(dir, { ...settings, EARSHOT_HOST: host })
      await assert.rejects(serve(config), {
        code: 'ADDRESS_EXPOSED',
        message: /allow-unauthenticated/,
      })
    }

    const config = testConfig(dir, { ...settings, EARSHOT_HOST: '0.0.0.0' })
    const app = await openApp({
      ...config,
      http: { ...config.http, allowUnauthenticated: true },
    })
    const http = await buildHttp(app)
    test.after(async () => {
      await http.close()
      await app[Symbol.asyncDispose]()
    })
    const url = await http.listen({ host: '0.0.0.0', port: 0 })
    const { port } = new URL(url)
    const answer = await raw(`http://127.0.0.1:${port}`, [
      'GET /healthz HTTP/1.1',
      'Host: attacker.example',
      'Connection: close',
    ])
    assert.equal(statusOf(answer), 421)
  })
})

it('warns at start if every name is allowed, and else does not', async (test) => {
  const settings = { EARSHOT_BUNDLE: fixture('tiny-cavmae') }
  for (const [hosts, warning] of [
    ['media.example,*', /^Warning: EARSHOT_HOSTS .*web page.*\n$/],
    ['media.example', /^$/],
  ] as const) {
    const args = ['serve', '--port', '0', '--json', '--data', await temporaryDir(test)]
    const child = start(args, { ...settings, EARSHOT_HOSTS: hosts })
    const warned = text(child.stderr)
    await once(child.stdout, 'data')
    child.kill('SIGTERM')
    assert.match(await warned, warning)
  }
})
