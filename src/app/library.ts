import { bundleFolder, type Config } from '../config.js'
import { loadBundle } from '../encoder/bundle.js'
import type { Catalogue } from '../gallery/catalogue.js'
import { catalogueFile, currentPlace, openCatalogue } from './serving.js'

/** The catalogue that serves, alone and without a lock: for what is asked of the library beside the process that runs it. */
export async function openLibrary(config: Config): Promise<Catalogue> {
  const place = currentPlace(config)
  return openCatalogue(catalogueFile(config.dataDir, place), await loadBundle(bundleFolder(place.bundle)))
}
