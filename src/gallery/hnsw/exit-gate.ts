const OPEN = 0
const SHUT = 1
const HELD = 2
const MAX_WAIT_MS = 100 // the process then exits, even if a thread is not held

/**
 * Holds a worker thread while the process exits. If a thread is terminated inside hnswlib, the
 * whole process aborts.
 */
export class ExitGate {
  /** Creates a gate. `state` is its shared memory: the worker thread creates its gate from it. */
  constructor(readonly state = new Int32Array(new SharedArrayBuffer(4))) {}

  /** Blocks the worker thread forever if the process exits. */
  pass(): void {
    if (Atomics.load(this.state, 0) === OPEN) return
    Atomics.store(this.state, 0, HELD)
    Atomics.notify(this.state, 0)
    Atomics.wait(this.state, 0, HELD)
  }

  /** Requests that the worker thread is held at its next pass. */
  shut(): void {
    Atomics.store(this.state, 0, SHUT)
  }

  /**
   * Blocks the main thread until the worker thread is held, at most `ms` milliseconds. An idle
   * thread is never held.
   */
  waitUntilHeld(ms: number): void {
    Atomics.wait(this.state, 0, SHUT, Math.max(0, ms))
  }
}

const gates = new Set<ExitGate>()

/** Shuts a gate when the process exits. Returns a function that unregisters the gate. */
export function shutAtExit(gate: ExitGate): () => void {
  if (gates.size === 0) process.on('exit', shutAll)
  gates.add(gate)
  return () => {
    gates.delete(gate)
    if (gates.size === 0) process.off('exit', shutAll)
  }
}

function shutAll(): void {
  const end = performance.now() + MAX_WAIT_MS
  for (const gate of gates) gate.shut()
  for (const gate of gates) gate.waitUntilHeld(end - performance.now())
}
