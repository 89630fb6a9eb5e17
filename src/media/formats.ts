/**
 * The demuxers that may open a file. Not among them: whatever opens further files or addresses (hls, dash, concat,
 * image2, imf, sdp, …), devices, lavfi, subtitles, raw data without a header, and vector or page formats.
 */
const CONTAINERS =
  'mov,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,asf,rm,nut,mxf,gxf,ogg,wtv,dv,ivf,obu,av1,h261,h263,h264,hevc,vvc,m4v,vc1,mjpeg'
const SOUNDS =
  'wav,w64,aiff,au,caf,flac,mp3,aac,loas,ac3,eac3,ac4,dts,dtshd,truehd,mlp,amr,amrnb,amrwb,ape,tta,wv,tak,mpc,mpc8,' +
  'oma,voc,dsf,iff,xwma,shn,qcp,ircam,osq'
const PICTURES =
  'png_pipe,apng,jpeg_pipe,jpegls_pipe,jpegxl_pipe,jpegxl_anim,j2k_pipe,webp_pipe,webp,webp_anim,bmp_pipe,tiff_pipe,' +
  'gif,gif_pipe,qoi_pipe,ppm_pipe,pgm_pipe,pbm_pipe,pam_pipe,pcx_pipe,sgi_pipe,sunrast_pipe,exr_pipe,hdr_pipe,psd_pipe'

/** Input options of every ffmpeg and ffprobe: formats and protocols, of the file and of whatever it may point to. */
export const INPUT_GUARDS: readonly string[] = [
  '-protocol_whitelist',
  'file',
  '-format_whitelist',
  [CONTAINERS, SOUNDS, PICTURES].join(','),
]

/** Formats whose clock may jump: ffmpeg corrects the jumps of one stream at a time, and sets other streams wrong. */
export const hasJumpingClock = (format: string): boolean => /^(mpegts|mpeg)$/.test(format)

/** Formats whose clock ffmpeg shifts to the first packet of the streams that are read, instead of all streams. */
export const hasClockByStreamsRead = (format: string): boolean => hasJumpingClock(format) || format === 'ogg'

/** False for sound without timestamps: those that ffmpeg makes up are wrong where the sample rate changes midway. */
export const hasTimestamps = (format: string): boolean => !SOUNDS.split(',').includes(format)
