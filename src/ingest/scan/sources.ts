import type { Catalogue } from '../../gallery/catalogue/catalogue.js'
import { isFolderOffline } from '../../storage/file-stat.js'
import { isInside } from '../../storage/path-within.js'

const JOBS_LOOKED_AT = 500

/** A folder that the library was indexed from. */
export interface SourceStatus {
  readonly path: string
  readonly clips: number
  readonly isOffline: boolean // it is gone or empty, though clips are known in it
}

/** The folders that jobs have had as sources, without those inside others. */
export async function sourcesOf({
  jobs,
  files,
}: Pick<Catalogue, 'jobs' | 'files'>): Promise<SourceStatus[]> {
  const sources = new Set(
    (await jobs.jobs({ limit: JOBS_LOOKED_AT })).flatMap((job) => job.sources),
  )
  const outer = [...sources].filter(
    (path) => ![...sources].some((other) => other !== path && isInside(other, path)),
  )
  const roots: SourceStatus[] = []
  for (const path of outer.sort()) {
    const clips = await files.countUnder(path)
    if (clips > 0) roots.push({ path, clips, isOffline: await isFolderOffline(path) })
  }
  return roots
}
