# What the scripts share; to be sourced. Defines `step`, `fail`, `skipped` and `passed`, and enters the repository's root.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TERM_COLOR=never
begin=$SECONDS

# step TITLE COMMAND...: prints the title and the time so far, and runs the command.
step() {
    echo
    echo "== $1 ($((SECONDS - begin)) s so far)"
    shift
    "$@"
}
# fail WHY...: ends the script with exit code 1.
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
# skipped WHY...: says that something isn't checked here. Returns false, for use after `||`.
skipped() {
    echo "SKIPPED: $*"
    return 1
}
# passed: the last line of a script.
passed() {
    echo
    echo "All passed in $((SECONDS - begin)) s."
}
have_valgrind() { valgrind --version >/dev/null 2>&1 || skipped "there is no valgrind"; }

nightly=${POLYEXEC_NIGHTLY:-nightly}
have_nightly() { cargo "+$nightly" --version >/dev/null 2>&1 || skipped "there is no toolchain $nightly"; }
