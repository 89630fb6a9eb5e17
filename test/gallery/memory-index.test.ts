import { MemoryIndex } from '../../src/gallery/memory/memory-index.js'
import { vectorIndexContract } from '../contract/vector-index.js'

vectorIndexContract('memory', async (dimension) => new MemoryIndex(dimension))
