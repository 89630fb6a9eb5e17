#!/usr/bin/env bash
# A check of the encoder on a machine with an NVIDIA GPU: which execution providers load, whether they reproduce the
# golden numbers, how long they take by batch, and how long PyTorch takes. docs/gpu.md says how to read it.
#
#   bench/gpu.sh --pack <folder> [--with-torch]   on a machine with network: collects what the check needs
#   bench/gpu.sh <report folder>                  in a checkout, or <folder>/gpu.sh <report folder> where it was brought
#
# PYTHON names a Python with PyTorch (default: the first found). EARSHOT_GPU_SECONDS limits the whole check (default 460),
# EARSHOT_GPU_BATCHES names the batches (default 1 2 4 8 16 32), EARSHOT_GPU_PROVIDERS the providers.
set -uo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
NUGET_SECONDS=300
TORCH_MIB=12288 # free space that --with-torch asks for
export PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1

# --- places: those of a pack, or of a checkout ------------------------------------------------------------------------

if [ -d "$here/app" ]; then
  app=$here/app base=$here/cavmae-base training=$here/training packages=$here
  export PATH="$here/node:$PATH"
else
  app=$(dirname "$here") training=$app/training base=$app/.cache/cavmae-base packages=$app/.cache
fi
libraries=node_modules/onnxruntime-node/bin/napi-v6/linux/x64

# A Python that has PyTorch, or for whose version it was packed.
find_python() {
  local candidate
  for candidate in ${PYTHON:-} "$training/.venv/bin/python" python3 python3.13 python3.12 python3.11; do
    PYTHONPATH=$(packed_torch "$candidate") "$candidate" -c "$HAS_TORCH" 2>/dev/null && { echo "$candidate"; return; }
  done
  echo "${PYTHON:-python3}"
}
HAS_TORCH='import importlib.util as i, sys; sys.exit(not i.find_spec("torch"))'

packed_torch() { echo "$packages/torch-$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)"; }

say() { printf '%s\n' "$*" >&2; }

# --- pack -------------------------------------------------------------------------------------------------------------

pack() {
  local folder=$1 with_torch=${2:-}
  mkdir -p "$folder" && folder=$(cd "$folder" && pwd) || exit 1
  [ -d "$app/bench" ] || { say "--pack runs in a checkout"; exit 1; }
  cd "$app" || exit 1
  node_modules/.bin/tsc || { say "The code does not compile"; exit 1; }
  cp bench/gpu.sh "$folder/gpu.sh"
  pack_app "$folder"
  pack_cuda "$folder/app/$libraries"
  pack_curand "$folder/cuda"
  pack_base "$folder/cavmae-base"
  pack_torch "$folder" "$with_torch"
  say "Sizes in MiB:"
  (cd "$folder" && du -sm -- * && du -sm .) >&2
  (cd "$folder/app/$libraries" && du -m -- *.so*) >&2
}

pack_app() {
  local folder=$1 path
  rm -rf "$folder/app" "$folder/node" "$folder/training"
  mkdir -p "$folder/app/models" "$folder/node" "$folder/training"
  cp -r dist package.json migrations "$folder/app/"
  cp -r models/starter "$folder/app/models/"
  npm ls --all --omit=dev --parseable 2>/dev/null | sed "s|^$app/||" | grep ^node_modules/ | while read -r path; do
    mkdir -p "$folder/app/$(dirname "$path")"
    cp -rn "$path" "$folder/app/$(dirname "$path")/"
  done
  rm -rf "$folder/app/node_modules/onnxruntime-node/bin/napi-v6/"{darwin,win32,linux/arm64}
  cp "$(node -p process.execPath)" "$folder/node/node"
  cp -r training/gpu.py training/cavmae "$folder/training/"
}

# The files come from NuGet as onnxruntime-node installs them, else from PyPI's onnxruntime-gpu of the same version.
pack_cuda() {
  local folder=$1 version scratch
  if ls "$folder"/libonnxruntime_providers_cuda.so >/dev/null 2>&1; then return; fi
  if ONNXRUNTIME_NODE_INSTALL=cuda12 timeout "$NUGET_SECONDS" \
    node "$folder/../../../../script/install.js" >/dev/null 2>&1 && [ -f "$folder/libonnxruntime_providers_cuda.so" ]; then
    say "CUDA files of onnxruntime-node: from NuGet"
    return
  fi
  say "CUDA files of onnxruntime-node: api.nuget.org cannot be reached, or the download failed. Trying PyPI."
  version=$(node -p "require('./node_modules/onnxruntime-node/package.json').version")
  scratch=$(mktemp -d)
  if "$(find_python)" -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 -d "$scratch" "onnxruntime-gpu==$version" >&2; then
    python3 - "$scratch" "$folder" <<'PY' && say "CUDA files of onnxruntime-node: from PyPI's onnxruntime-gpu $version"
import glob, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
for name in wheel.namelist():
    if "/libonnxruntime_providers_" in name:
        open(sys.argv[2] + "/" + name.split("/")[-1], "wb").write(wheel.read(name))
PY
  else
    say "CUDA files of onnxruntime-node: NOT packed. On the other machine only the CPU provider will load."
  fi
  rm -rf "$scratch"
}

# The one library of the CUDA provider that PyTorch for CUDA 13 does not bring along.
pack_curand() {
  python3 -m pip install --quiet --no-deps --upgrade --target "$1" nvidia-curand >&2 ||
    say "libcurand: NOT packed. The CUDA provider needs the one of the other machine."
}

pack_base() {
  [ -f "$1/bundle.json" ] && return
  say "Exporting CAV-MAE base with random weights, some minutes"
  "$(find_python)" training/gpu.py export "$1" >&2 ||
    say "CAV-MAE base: NOT packed. The export needs the Python of training/ (npm test makes it)."
}

pack_torch() {
  local version
  version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  if [ "$2" != --with-torch ]; then
    say "PyTorch: not packed (--with-torch does, several GiB). The check uses a Python with PyTorch that is there."
    return
  fi
  if [ "$(df -Pm "$1" | awk 'NR == 2 { print $4 }')" -lt "$TORCH_MIB" ]; then
    say "PyTorch: NOT packed, less than $TORCH_MIB MiB are free"
    return
  fi
  python3 -m pip install --quiet --upgrade --target "$1/torch-$version" torch numpy >&2 ||
    { say "PyTorch: NOT packed"; return; }
  say "PyTorch: packed for $(python3 --version); the other machine needs that Python"
}

# --- check ------------------------------------------------------------------------------------------------------------

check() {
  mkdir -p "$1" && report=$(cd "$1" && pwd) || exit 1
  rm -f "$report"/{steps.tsv,machine.txt,report.json,report.txt,*-*.json,*-*.log}
  : >"$report/steps.tsv"
  deadline=${EARSHOT_GPU_SECONDS:-460}
  python=$(find_python)
  PYTHONPATH=$(packed_torch "$python")
  export PYTHONPATH
  read -ra batches <<<"${EARSHOT_GPU_BATCHES:-1 2 4 8 16 32}"
  read -ra providers <<<"${EARSHOT_GPU_PROVIDERS:-cpu cuda tensorrt}"
  export ORT_DISABLE_TELEMETRY=1
  find_libraries
  describe_machine >"$report/machine.txt" 2>&1
  local starter=$app/models/starter provider precision model

  for provider in "${providers[@]}"; do onnx open "$provider" fp32 starter 60; done
  for provider in "${providers[@]}"; do
    onnx golden "$provider" fp32 starter 90
    [ "$provider" = tensorrt ] && onnx golden tensorrt fp16 starter 90
  done
  for model in starter base; do
    has cuda && onnx time cuda fp32 "$model" 60
    for precision in fp32 tf32 fp16; do
      step "eager-$model-$precision" 45 "$python" "$training/gpu.py" eager "$model" "$precision" \
        "$report/eager-$model-$precision.json" "${batches[@]}"
    done
  done
  if has tensorrt; then
    for precision in fp32 fp16; do
      for model in starter base; do onnx time tensorrt "$precision" "$model" 90; done
    done
  fi
  has cuda && onnx golden cuda fp32 base 60
  has tensorrt && onnx golden tensorrt fp16 base 90
  if has cpu; then for model in starter base; do onnx time cpu fp32 "$model" 30; done; fi
  node "$app/dist/bench/gpu.js" report "$report" || cat "$report/machine.txt" "$report/steps.tsv"
}

has() { [[ " ${providers[*]} " == *" $1 "* ]]; }

# onnx <command> <provider> <precision> <model> <seconds>: left out where the provider does not open.
onnx() {
  local command=$1 provider=$2 precision=$3 model=$4 seconds=$5 bundle more=() variables=()
  local name=$command-$model-$provider
  [ "$command" = open ] && name=open-$provider
  [ "$precision" = fp16 ] && name=$name-fp16 && variables=(ORT_TENSORRT_FP16_ENABLE=1)
  [ "$command" = time ] && more=("${batches[@]}")
  bundle=$app/models/starter
  [ "$model" = base ] && bundle=$base
  if [ "$command" != open ] && ! grep -q "^open-$provider"$'\tok' "$report/steps.tsv"; then
    note "$name" "left out" 0 "$provider does not load"
  elif [ ! -f "$bundle/bundle.json" ]; then
    note "$name" "left out" 0 "there is no $bundle: gpu.py export makes it"
  else
    step "$name" "$seconds" env "${variables[@]}" node "$app/dist/bench/gpu.js" "$command" "$provider" "$bundle" \
      "$report/$name.json" "${more[@]}"
  fi
}

# step <name> <seconds> <command …>: its output goes to <name>.log, its end to steps.tsv.
step() {
  local name=$1 limit=$2 started=$SECONDS status left=$((deadline - SECONDS))
  shift 2
  if ((left < 5)); then note "$name" "left out" 0 "the time of the check is used up"; return; fi
  ((left < limit)) && limit=$left
  say "$name, at most $limit s"
  timeout -k 5 "$limit" "$@" >"$report/$name.log" 2>&1
  status=$?
  case $status in
    0) note "$name" ok $((SECONDS - started)) "" ;;
    124 | 137) note "$name" stopped $((SECONDS - started)) "it ran for more than $limit s" ;;
    *) note "$name" failed $((SECONDS - started)) "exit status $status: $(reason "$report/$name.log")" ;;
  esac
}

note() { printf '%s\t%s\t%s\t%s\n' "$@" >>"$report/steps.tsv"; }

# The library that could not be loaded, or what CUDA says, else the last line of a log.
reason() {
  local text
  text=$(sed $'s/\x1b\\[[0-9;]*m//g' "$1" | tr '\t' ' ' | grep -v '^[[:space:]]*$' | grep -v '^Node.js v')
  grep -o 'with error: .*' <<<"$text" | tail -1 | cut -c13-400 | grep . ||
    grep -oE 'CUDA failure [^;]*' <<<"$text" | tail -1 | cut -c1-400 | grep . ||
    grep -E '^[A-Za-z]*Error' <<<"$text" | tail -1 | cut -c1-400 | grep . || tail -1 <<<"$text" | cut -c1-400
}

# CUDA, cuDNN and TensorRT lie inside Python packages as often as in the system's folders.
find_libraries() {
  local found
  found=$("$python" - "$packages/cuda" <<'PY' 2>/dev/null
import glob, os, sys
folders = [*sys.path, sys.argv[1]]
names = ("nvidia/*/lib", "tensorrt_libs", "tensorrt*_libs")
print(":".join(sorted({f for folder in folders for name in names for f in glob.glob(os.path.join(folder, name))})))
PY
  )
  export LD_LIBRARY_PATH="${LD_LIBRARY_PATH:-}${found:+:$found}"
}

describe_machine() {
  date -u +%FT%TZ
  uname -srm
  echo "$(nproc --all) cores"
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null || echo "nvidia-smi finds no GPU"
  echo "Node $(node --version), $(node -p "'onnxruntime-node ' + require('$app/node_modules/onnxruntime-node/package.json').version")"
  "$python" -c 'import sys, torch; print(f"Python {sys.version.split()[0]}, PyTorch {torch.__version__}, GPU: {torch.cuda.is_available()}")' 2>/dev/null || echo "no Python with PyTorch"
  local provider file
  for provider in cuda tensorrt; do
    file=$app/$libraries/libonnxruntime_providers_$provider.so
    if [ -f "$file" ]; then echo "libonnxruntime_providers_$provider.so lacks: $(ldd "$file" 2>/dev/null | awk '/not found/ { printf "%s ", $1 }')"
    else echo "libonnxruntime_providers_$provider.so is not there"; fi
  done
}

case ${1:-} in
  --pack) [ -n "${2:-}" ] && pack "$2" "${3:-}" || { say "Usage: gpu.sh --pack <folder> [--with-torch]"; exit 1; } ;;
  '' | -*) say "Usage: gpu.sh <report folder> | gpu.sh --pack <folder> [--with-torch]"; exit 1 ;;
  *) check "$1" ;;
esac
