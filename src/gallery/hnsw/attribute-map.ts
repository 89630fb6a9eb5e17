import { readFile, writeFile } from 'node:fs/promises'
import type { Attributes } from '../../domain/attributes.js'
import type { ClipId, SegmentId } from '../../domain/ids.js'
import { type Filter, matches } from '../vector/filter.js'

interface Segment {
  readonly clip: ClipId
  readonly attributes: Attributes
}

/** The attributes by which the segments of an index can be filtered. */
export class AttributeMap {
  readonly #segments = new Map<SegmentId, Segment>()
  readonly #clips = new Map<ClipId, Attributes>()

  /** Reads what `save` wrote. */
  static async load(path: string): Promise<AttributeMap> {
    const { segments, clips } = JSON.parse(await readFile(path, 'utf8'))
    const map = new AttributeMap()
    for (const [id, segment] of segments) map.#segments.set(id, segment)
    for (const [id, attributes] of clips) map.#clips.set(id, attributes)
    return map
  }

  setClip(clip: ClipId, attributes: Attributes): void {
    this.#clips.set(clip, attributes)
  }

  setSegment(id: SegmentId, segment: Segment): void {
    this.#segments.set(id, segment)
  }

  deleteSegment(id: SegmentId): void {
    this.#segments.delete(id)
  }

  /** Whether a segment, with its clip, satisfies the filter. */
  matches(filter: Filter, id: SegmentId): boolean {
    const segment = this.#segments.get(id)
    if (!segment) return false
    return matches(filter, { ...this.#clips.get(segment.clip), ...segment.attributes })
  }

  async save(path: string): Promise<void> {
    const content = { segments: [...this.#segments], clips: [...this.#clips] }
    await writeFile(path, JSON.stringify(content))
  }
}
