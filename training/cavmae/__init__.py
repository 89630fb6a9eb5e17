"""The offline pipeline that trains, measures and exports Earshot's encoders."""

import os

# onnxruntime sends telemetry unless this is set before the library is loaded.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
