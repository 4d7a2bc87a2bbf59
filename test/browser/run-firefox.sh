#!/bin/sh
# Runs a Firefox no longer than the process that asked for it lives, however that ends: Jest gives its tests a copy of `process`,
# in which what a test wants to do at exit and on signals is never done.
asker=$PPID
"$TEST_FIREFOX" "$@" &
while kill -0 "$asker" && kill -0 $!; do sleep 1; done 2>/dev/null
# The whole group, this shell with it.
kill -KILL 0
