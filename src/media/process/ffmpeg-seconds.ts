/** Formats seconds for ffmpeg: as a plain decimal, since ffmpeg reads no exponents (`1e-9`). */
export const ffmpegSeconds = (seconds: number): string => seconds.toFixed(6)
