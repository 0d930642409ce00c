#!/usr/bin/env bash
# Puts in order what a killed pod left in the project's git repositories: the clone, which is the current directory, and
# those below $MESH_SIX_WORKTREES.
#
# It knows git and nothing else. It deletes no file of anybody's work: it removes what a killed git left half done in
# git's own folders and git's notes of worktrees whose folders are gone, copies what is not committed into
# refs/mesh-six/rescue/, and moves folders that git no longer knows aside. It says each thing that it did, and how to
# get the work back.
set -uo pipefail

part=recovery
# shellcheck source=devcontainer-features/mesh-six-tools/share/log.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/log.sh"

readonly rescues=refs/mesh-six/rescue
# How many seconds git may take to look through one worktree, and again to copy what it found: a pipe in the place of a
# file that git reads, or a filter that hangs, would hold up the pod for ever.
readonly limit=${MESH_SIX_RESCUE_SECONDS:-300}
clone=$PWD
now=$(TZ=UTC0 printf '%(%Y%m%dT%H%M%SZ)T' -1)
scratch=$(mktemp -d) || exit 1
quarantine=
trap 'rm -rf -- "$scratch" ${quarantine:+"$quarantine"}' EXIT
# shellcheck source=devcontainer-features/mesh-six-tools/share/rescue.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/rescue.sh"
# shellcheck source=devcontainer-features/mesh-six-tools/share/notes.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/notes.sh"

# Runs git in a folder, never in a repository above it, not for ever, and without a daemon that would stay.
git_in() {
  GIT_CEILING_DIRECTORIES=${1%/*} timeout --kill-after=5 "$limit" \
    git -C "$1" -c core.fsmonitor=false -c advice.addEmbeddedRepo=false "${@:2}"
}

# Runs git on a git folder, with no worktree to look at: here it would take the clone for it.
git_at() {
  timeout --kill-after=5 "$limit" git --bare --git-dir "$1" "${@:2}"
}

# Prints the folders that may be worktrees or clones, each ended by NUL: the clone, and those one or two levels below
# the folder of worktrees.
trees() {
  printf '%s\0' "$clone"
  find -H "$MESH_SIX_WORKTREES" -mindepth 2 -maxdepth 3 -name .git -not -path '*/.rescued/*' -printf '%h\0'
}

# Prints a small file of git's; a power cut may have left NULs in it, or nothing.
text() {
  [[ ! -f $1 ]] || tr -d '\0' <"$1" 2>/dev/null
}

# Prints the repository (the "common directory") that a folder's git works on.
repository_of() {
  local found
  found=$(git_in "$1" rev-parse --git-common-dir 2>/dev/null) && (cd -- "$1" && cd -- "$found" && pwd -P)
}

# Returns 0 for a folder within the clone or the folder of worktrees: nothing elsewhere is ours to tidy.
ours() {
  [[ $1/ == "$(cd -- "$clone" && pwd -P)"/* || $1/ == "$(cd -- "$MESH_SIX_WORKTREES" && pwd -P)"/* ]]
}

# Returns 0 when a git runs in the clone or in a worktree: then its locks are not stale.
git_runs() {
  local process name
  for process in /proc/[0-9]*; do
    { read -r name <"$process/comm"; } 2>/dev/null || continue
    [[ $name == git || $name == git-* ]] || continue
    ! ours "$(readlink -- "$process/cwd")" || return 0
  done
  return 1
}

# Prints git's own folders of a repository, each ended by NUL: its own, and those of its worktrees and submodules. One
# with a .git in it is somebody's worktree.
git_folders() {
  local folder
  [[ -d $1 && ! -e $1/.git ]] || return
  printf '%s\0' "$1"
  for folder in "$1"/worktrees/*; do git_folders "$folder"; done
  [[ ! -d $1/modules ]] || while IFS= read -r -d '' folder; do git_folders "$folder"; done < <(
    find "$1/modules" -type d \( -exec test -e '{}/.git' \; -prune -o \
      -exec test -f '{}/HEAD' \; -exec test -d '{}/objects' \; -print0 -prune \)
  )
}

# Prints what a killed git may have left in one of its folders, each ended by NUL, and only where and how git makes it:
# people have worktrees within these folders, and in those files like Cargo.lock.
left_over() {
  local folder=$1
  find "$folder" -maxdepth 1 -type f -regextype posix-extended \
    -regex '.*/([A-Z_]+|index(\.stash\.[0-9]+)?|next-index-[0-9]+|config(\.worktree)?|packed-refs|shallow|gc\.pid)\.lock' -print0
  find "$folder"/{info,sequencer,rebase-merge,rebase-apply,objects{,/info,/info/commit-graphs,/pack}} -maxdepth 1 \
    -type f -name '*.lock' -print0 2>/dev/null
  # No ref's name can end so.
  find "$folder"/{refs,logs,reftable} -type d -exec test -e '{}/.git' \; -prune -o -type f -name '*.lock' -print0 2>/dev/null
  find "$folder/objects" -mindepth 2 -maxdepth 2 -type f -regextype posix-extended \
    -regex '.*/objects/([0-9a-f]{2}/tmp_obj_|pack/tmp_)[^/]*' -print0 2>/dev/null
}

# Removes what git, or a rescue, left in a repository when it was killed.
tidy() {
  local folder file
  while IFS= read -r -d '' folder; do
    while IFS= read -r -d '' file; do
      [[ -e ${file%/*}/.git ]] || { rm -f -- "$file" && say "removed $file, which a killed git had left"; }
    done < <(left_over "$folder")
    rm -rf -- "$folder"/objects/tmp_objdir-mesh-six.*
    [[ $(text "$folder/locked") != initializing ]] ||
      { rm -f -- "$folder/locked" && say "unlocked $folder, a worktree that was being made"; }
  done < <(git_folders "$1")
}

sweep() {
  local tree note repository found
  local -A repositories=()
  mapfile -d '' -t found < <(trees)
  for tree in "${found[@]}"; do
    find_again "$tree"
    repository=$(repository_of "$tree") && repositories[$repository]=1
  done
  for repository in "${!repositories[@]}"; do
    if ! ours "$repository"; then
      say "the repository $repository lies elsewhere; its locks and its notes of worktrees stay"
      unset "repositories[$repository]"
    elif git_runs; then
      say "git is running; the locks in $repository stay"
    else
      tidy "$repository"
    fi
  done
  for tree in "${found[@]}"; do
    note=$(note_of "$tree")
    if [[ $note && ! -e $note ]]; then
      set_aside "$tree" "${tree#"$MESH_SIX_WORKTREES/"}"
    elif [[ $tree == "$clone" ]]; then
      rescue "$tree" clone
    else
      rescue "$tree" "${tree#"$MESH_SIX_WORKTREES/"}"
    fi
  done
  for repository in "${!repositories[@]}"; do forget_gone "$repository"; done
}

if ! said=$(mkdir -p -- "$MESH_SIX_WORKTREES" 2>&1) || [[ ! -r $MESH_SIX_WORKTREES ]]; then
  say "cannot read $MESH_SIX_WORKTREES; nothing was done${said:+: ${said##*: }}"
  exit 1
fi
sweep
say 'done'
