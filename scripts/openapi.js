// Writes openapi.yaml from the schemas of the routes: `npm run openapi`. A test compares both.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build, ROOT } from './setup.js'

build()
const { openApp } = await import('../dist/src/app.js')
const { readConfig } = await import('../dist/src/config.js')
const { buildHttp } = await import('../dist/src/http/http.js')
const { openapiYaml } = await import('../dist/src/http/openapi.js')

const dataDir = mkdtempSync(join(tmpdir(), 'earshot-openapi-'))
const app = await openApp(readConfig({ EARSHOT_DATA: dataDir, EARSHOT_LOG: 'silent' }))
const http = await buildHttp(app)
await http.ready()
writeFileSync(join(ROOT, 'openapi.yaml'), openapiYaml(http))
await http.close()
await app[Symbol.asyncDispose]()
rmSync(dataDir, { recursive: true })
