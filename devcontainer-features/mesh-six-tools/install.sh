#!/bin/sh
# Installs what mesh-six's agents need into the image of a dev container; run as root while the image is built.
#
# It adds Debian packages that are missing, the Claude CLI at one exact version, and the entrypoint with its parts,
# which this folder brings: nothing is downloaded but packages. It asks for no user and no home folder, for envbuilder
# tells it neither. Safe to run again. POSIX shell, so that a system without bash gets an answer too.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
# Another root of the file system, as packagers do it; commands are run, and packages installed, where this runs.
root=${DESTDIR:-}
share=$root/usr/local/share/mesh-six
version=${CLAUDEVERSION:-}

fail() {
  echo "mesh-six-tools: $1" >&2
  exit 1
}

check() {
  [ "$(id -u)" = 0 ] || fail 'must be run as root, as features are; this is no script for a running container'
  command -v apt-get >/dev/null ||
    fail "this image has no apt-get; only Debian, Ubuntu and images made from them are supported, and this is $(system)"
  # Where the Node feature puts it; its variables, which say so too, are not seen by every builder's later features.
  PATH=$PATH:/usr/local/share/nvm/current/bin
  for program in node npm; do
    command -v "$program" >/dev/null || fail "there is no $program, which the Claude CLI and the entrypoint need. Add the \
feature ghcr.io/devcontainers/features/node, under a reference that sorts before this one (envbuilder goes by the \
letters), or take an image with Node"
  done
  # No tag and no range: the same file must install the same thing tomorrow.
  echo "$version" | grep -Eqx '[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?' ||
    fail "option claudeVersion is \"$version\", and must be an exact version like 2.1.332; tags (latest) and ranges are refused"
}

system() {
  # shellcheck disable=SC1091 # every system has its own
  (. /etc/os-release 2>/dev/null && echo "${PRETTY_NAME:-$ID}") || echo 'a system that does not say what it is'
}

# Installs the package of each program that is missing.
install_packages() {
  packages=
  for pair in tmux:tmux git:git gh:gh curl:curl jq:jq ssh:openssh-client flock:util-linux; do
    command -v "${pair%%:*}" >/dev/null || packages="$packages ${pair#*:}"
  done
  [ -e /etc/ssl/certs/ca-certificates.crt ] || packages="$packages ca-certificates"
  [ -n "$packages" ] || return 0
  echo "mesh-six-tools: installing$packages"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q || fail 'apt-get update failed; see its own words above'
  # shellcheck disable=SC2086 # a list
  apt-get install -qy --no-install-recommends $packages || fail "$(system) does not have all of these packages:$packages. \
gh is in Debian 12, Ubuntu 22.04 and newer; on older ones add the feature ghcr.io/devcontainers/features/github-cli"
  rm -rf /var/lib/apt/lists/*
}

install_claude() {
  if ! has_claude; then
    # Newer versions of npm run no install script that is not allowed by name.
    npm install --global --no-audit --no-fund --allow-scripts=@anthropic-ai/claude-code "@anthropic-ai/claude-code@$version" ||
      fail "npm could not install version $version of @anthropic-ai/claude-code; see its own words above"
    npm cache clean --force >/dev/null 2>&1 || true
  fi
  has_claude || fail "after its installation \`claude --version\` does not say $version. Another claude may come first on \
the PATH ($(command -v claude || echo none is there)), or npm may be told to run no install scripts"
}

has_claude() {
  [ "$(claude --version 2>/dev/null | cut -d ' ' -f 1)" = "$version" ]
}

# Registries do not keep the modes of a feature's files, so they are set here.
install_entrypoint() {
  install -d -m 0755 "$share" "$root/etc/profile.d"
  for part in "$here"/share/*; do
    install -m 0755 "$part" "$share"
  done
  [ -x "$share/entrypoint.sh" ] || fail 'this folder has no share/entrypoint.sh; it has to be put together with: make feature'
  echo "$version" >"$share/version"
  # Not in containerEnv, where an option's value cannot be named. tmux starts login shells, whose PATH is the system's.
  cat >"$root/etc/profile.d/mesh-six-tools.sh" <<END
export MESH_SIX_TOOLS_VERSION=$version
command -v claude >/dev/null || PATH=\$PATH:$(dirname -- "$(command -v claude)")
END
}

check
install_packages
install_claude
install_entrypoint
echo "mesh-six-tools: Claude CLI $version and $share/entrypoint.sh are installed"
