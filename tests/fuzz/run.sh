#!/bin/sh
# Builds the native wire with ASan and UBSan into a folder of its own and fuzzes it: run.sh PYTHON SECONDS.
# The runtime of the sanitizers is atheris's where that is installed, because its libFuzzer must come with them.
set -e
folder=build/asan
mkdir -p "$folder"
"$1" -m cython -3 gslb/dns/_wire.pyx -o "$folder/_wire.c"
gcc -c -fPIC -g -O1 -fwrapv -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined \
    "-I$("$1" -c 'import sysconfig; print(sysconfig.get_path("include"))')" -o "$folder/_wire.o" "$folder/_wire.c"
gcc -shared -o "$folder/_wire.so" "$folder/_wire.o"
runtime="$("$1" -c 'import atheris; print(atheris.path())' 2>/dev/null || true)/asan_with_fuzzer.so"
test -e "$runtime" || runtime="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
LD_PRELOAD="$runtime" ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc "$1" -m tests.fuzz.wire "$2" "$folder/_wire.so"
