/**
 * onnxruntime-node contains telemetry that is on by default on Linux: it sends events to Microsoft and
 * keeps a device id and an events database in the user's cache folder. The native library reads this
 * variable when it is loaded. Only the main thread can set it for the process: a worker has a copy of
 * the environment.
 */
export function disableTelemetry(): void {
  process.env.ORT_DISABLE_TELEMETRY = '1'
}
