import { join } from 'node:path'

/** The paths in the data folder of a library. */
export interface DataLayout {
  readonly dir: string
  readonly media: string // uploaded files
  readonly thumbnails: string
  readonly uploads: string // incomplete uploads
  readonly sources: string // the list of indexed folders
  readonly galleries: string // one folder for each further gallery
  readonly galleriesFile: string // names the gallery that serves
}

/** Returns the paths of a data folder. */
export function dataLayout(dir: string): DataLayout {
  return {
    dir,
    media: join(dir, 'media'),
    thumbnails: join(dir, 'thumbnails'),
    uploads: join(dir, 'uploads'),
    sources: join(dir, 'sources.json'),
    galleries: join(dir, 'galleries'),
    galleriesFile: join(dir, 'galleries.json'),
  }
}
