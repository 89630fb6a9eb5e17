import { HEADER, writeAsOneOfTwo } from '../contract/log-order.js'
import { openCatalogue } from './places.js'

const [, , dir = '', place = ''] = process.argv
await using catalogue = await openCatalogue(dir, HEADER)
await writeAsOneOfTwo(catalogue, place)
