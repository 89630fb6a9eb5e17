import type { ClipId } from '../../../domain/ids.js'
import type { ColumnReader, ColumnWriter } from '../column-file.js'

/** Assigns slots to clips in the attribute columns. A freed slot is reused. */
export class ClipSlots {
  readonly #slots = new Map<ClipId, number>()
  readonly #clips: (ClipId | undefined)[] = [] // by slot
  readonly #free: number[] = []

  /** Reads slots that `save` wrote. */
  static load(reader: ColumnReader): ClipSlots {
    const clips = new ClipSlots()
    const slots = reader.int32()
    for (const [i, clip] of reader.strings().entries()) clips.#assign(clip, slots[i] as number)
    for (let slot = 0; slot < clips.#clips.length; slot++) {
      if (clips.#clips[slot] === undefined) clips.#free.push(slot)
    }
    return clips
  }

  /** Returns the slots in use. */
  all(): Iterable<number> {
    return this.#slots.values()
  }

  /** Returns the slot of the clip. Assigns a new slot if the clip has none. */
  add(clip: ClipId): number {
    return this.#slots.get(clip) ?? this.#assign(clip, this.#free.pop() ?? this.#clips.length)
  }

  /** Frees the slot of a clip. */
  free(slot: number): void {
    const clip = this.#clips[slot]
    if (clip === undefined) return
    this.#slots.delete(clip)
    this.#clips[slot] = undefined
    this.#free.push(slot)
  }

  /** Writes the slots and the clip ids. */
  async save(writer: ColumnWriter): Promise<void> {
    await writer.write(Int32Array.from(this.#slots.values()))
    await writer.writeStrings([...this.#slots.keys()])
  }

  #assign(clip: ClipId, slot: number): number {
    while (this.#clips.length <= slot) this.#clips.push(undefined)
    this.#slots.set(clip, slot)
    this.#clips[slot] = clip
    return slot
  }
}
