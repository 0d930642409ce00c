# shellcheck shell=bash
# How the parts of a pod's start speak: one line each, with the time and who says it. Sourced, never run.

# Who speaks.
: "${part:?}"

# Says one line. What is no printable character becomes a question mark: names of folders may hold anything.
say() {
  local TZ=UTC0
  printf '%(%Y-%m-%dT%H:%M:%SZ)T mesh-six %s: %s\n' -1 "$part" "${*//[^[:print:]]/?}"
}
