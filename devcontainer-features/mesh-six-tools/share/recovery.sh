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
clone=$PWD
now=$(TZ=UTC0 printf '%(%Y%m%dT%H%M%SZ)T' -1)
scratch=$(mktemp -d) || exit 1
trap 'rm -rf -- "$scratch"' EXIT

# Runs git in a folder, and never in a repository above it.
git_in() {
  GIT_CEILING_DIRECTORIES=${1%/*} git -C "$1" "${@:2}"
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
    -regex '.*/([A-Z_]+|(next-)?index[^/]*|config(\.worktree)?|packed-refs|shallow|gc\.pid)\.lock' -print0
  find "$folder"/{info,sequencer,rebase-merge,rebase-apply,objects{,/info,/info/commit-graphs,/pack}} -maxdepth 1 \
    -type f -name '*.lock' -print0 2>/dev/null
  # No ref's name can end so.
  find "$folder"/{refs,logs,reftable} -type d -exec test -e '{}/.git' \; -prune -o -type f -name '*.lock' -print0 2>/dev/null
}

# Removes what git left in a repository when it was killed.
tidy() {
  local folder file
  while IFS= read -r -d '' folder; do
    while IFS= read -r -d '' file; do
      [[ -e ${file%/*}/.git ]] || { rm -f -- "$file" && say "removed $file, which a killed git had left"; }
    done < <(left_over "$folder")
    [[ $(text "$folder/locked") != initializing ]] ||
      { rm -f -- "$folder/locked" && say "unlocked $folder, a worktree that was being made"; }
  done < <(git_folders "$1")
}

# Keeps a tree as a commit of its own under refs/mesh-six/rescue/NAME/, unless one there holds the same.
# Usage: keep GIT_DIR TREE NAME. Prints the ref.
keep() {
  local git_dir=$1 tree=$2 name=$3 head commit ref
  ref=$(git --git-dir "$git_dir" for-each-ref --format='%(tree) %(refname)' "$rescues/$name" | grep "^$tree ")
  if [[ $ref ]]; then
    ref=${ref%%$'\n'*}
    echo "${ref#* }"
    return
  fi
  head=$(git --git-dir "$git_dir" rev-parse --quiet --verify 'HEAD^{commit}')
  commit=$(
    export GIT_AUTHOR_NAME='mesh-six recovery' GIT_AUTHOR_EMAIL=recovery@mesh-six.invalid
    export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL
    git --git-dir "$git_dir" commit-tree ${head:+-p "$head"} -m "Work of $name that was not committed" "$tree"
  ) || return
  ref=$rescues/$name/$now-${commit:0:7}
  git --git-dir "$git_dir" update-ref "$ref" "$commit" && echo "$ref"
}

# Makes a name for refs of what may be any path.
ref_name() {
  local name=${1//[^A-Za-z0-9_\/-]/-}
  echo "${name:-unnamed}"
}

# Adds everything to the index that GIT_INDEX_FILE names, without a daemon that would stay.
add_all() {
  git_in "$1" -c core.fsmonitor=false -c advice.addEmbeddedRepo=false add --all --ignore-errors
}

# Copies what is not committed in a worktree; the worktree, its index and its branch stay as they are.
rescue() {
  local tree=$1 name git_dir index=$scratch/index made head ref
  name=$(ref_name "$2")
  git_dir=$(git_in "$tree" rev-parse --absolute-git-dir 2>"$scratch/said") || {
    say "git cannot read $tree, which stays as it is: $(tail -n 1 "$scratch/said")"
    return
  }
  under_way "$tree" "$git_dir"
  rm -f -- "$index"
  # A copy of the index knows what is unchanged; a broken one is no loss, for then everything is read anew. Its time has
  # to stay: by it git tells which files may have changed within the second in which the index was written.
  cp --preserve=timestamps -- "$git_dir/index" "$index" 2>/dev/null
  if ! GIT_INDEX_FILE=$index git_in "$tree" ls-files >/dev/null 2>&1; then
    say "the index of $tree is broken; what was staged cannot be told from the rest (git -C $tree reset makes a new one)"
    rm -f -- "$index"
    GIT_INDEX_FILE=$index git_in "$tree" read-tree HEAD 2>/dev/null
  fi
  if ! GIT_INDEX_FILE=$index add_all "$tree" 2>"$scratch/said"; then
    say "not all of $tree can be rescued, and it stays as it is: $(grep -m 1 -E '^(error|fatal)' "$scratch/said")"
  fi
  made=$(GIT_INDEX_FILE=$index git_in "$tree" write-tree 2>/dev/null) || return
  head=$(git_in "$tree" rev-parse --quiet --verify 'HEAD^{tree}' || git_in "$tree" hash-object -t tree /dev/null)
  [[ $made != "$head" ]] || return
  ref=$(keep "$git_dir" "$made" "$name" 2>"$scratch/said") || {
    say "what is not committed in $tree cannot be rescued, and is still there: $(tail -n 1 "$scratch/said")"
    return
  }
  say "what is not committed in $tree is still there, and kept as $ref (git -C $tree restore --source=$ref -- :/)"
}

# Says which of git's longer operations was interrupted; a person or an agent has to decide about it.
under_way() {
  local sign
  for sign in rebase-merge rebase-apply MERGE_HEAD CHERRY_PICK_HEAD REVERT_HEAD BISECT_LOG; do
    [[ ! -e $2/$sign ]] || say "git was in the middle of something in $1 ($sign); it waits to be continued or aborted"
  done
}

# Prints where the .git file of a worktree has to be, as git's note of the worktree says; nothing for a damaged note.
place_of() {
  local place
  place=$(text "$1/gitdir")
  [[ $place == */.git ]] || return
  [[ $place == /* ]] || place=$1/$place
  echo "$place"
}

# Returns 0 when a worktree is where its note says: something is there, and not another worktree.
is_there() {
  local place other
  place=$(place_of "$1")
  [[ $place && -e $place ]] || return
  other=$(note_of "${place%/.git}")
  [[ ! -e $other || $other -ef $1 ]]
}

# Forgets the worktrees of a repository whose folders are gone, unless something of theirs cannot be kept. Git's own
# `worktree prune` would also forget those that it cannot tell the folders of.
forget_gone() {
  local entry place
  for entry in "$1"/worktrees/*; do
    [[ -d $entry && ! -e $entry/locked && ! -e $entry/.git ]] || continue
    place=$(place_of "$entry")
    if [[ ! $place ]]; then
      keep_gone "$entry" "$entry, which does not say where it is," "${entry##*/}"
      say "git's note $entry is damaged and stays (git -C $1 worktree repair <the worktree's folder>)"
    elif ! is_there "$entry"; then
      keep_gone "$entry" "${place%/.git}, which is gone," "$(basename -- "${place%/.git}")" && forget "$entry" "${place%/.git}"
    fi
  done
}

# Removes git's note of a worktree, unless repositories of submodules or somebody's worktree are in it.
forget() {
  local entry=$1
  if [[ -e $entry/modules || $(find "$entry" -name .git -print -quit) ]]; then
    say "there are repositories in $entry, git's note of $2; it stays, for a person to look at"
  else
    rm -rf -- "$entry" && say "had git forget the worktree $2"
  fi
}

# Keeps what only git's note of a worktree still holds: objects that no branch leads to, and what was staged. Returns 1
# if it cannot. Usage: keep_gone ENTRY WORKTREE NAME, WORKTREE being what to say of it.
keep_gone() {
  local entry=$1 whose=$2 name what object tree ref
  name=$(ref_name "$3")
  objects_of "$entry" >"$scratch/objects" 2>"$scratch/said" || {
    say "what git noted of the worktree $whose cannot be read; $entry stays: $(tail -n 1 "$scratch/said")"
    return 1
  }
  while read -r what object; do
    keep_object "$entry" "$rescues/$name/$now-$what" "$object" "the $what of $whose" || return
  done <"$scratch/objects"
  [[ -e $entry/index ]] || return 0
  if ! tree=$(git --git-dir "$entry" write-tree 2>/dev/null); then
    say "what was staged in $whose cannot be kept: it was in the middle of a merge, or its index is broken; $entry stays, for a person to look at"
    return 1
  fi
  [[ $tree != "$(git --git-dir "$entry" rev-parse --quiet --verify 'HEAD^{tree}')" ]] || return 0
  ref=$(keep "$entry" "$tree" "$name" 2>"$scratch/said") || {
    say "what was staged in $whose cannot be kept; $entry stays: $(tail -n 1 "$scratch/said")"
    return 1
  }
  say "what was staged in $whose is kept as $ref"
}

# Prints a line for each object that git's note of a worktree names: what it is there, and its id.
objects_of() {
  local entry=$1 name object
  # HEAD may name a branch without a commit.
  object=$(git --git-dir "$entry" rev-parse --quiet --verify 'HEAD^{commit}') || git --git-dir "$entry" symbolic-ref HEAD >/dev/null || return
  [[ ! $object ]] || echo "commit $object"
  for name in MERGE_AUTOSTASH rebase-{merge,apply}/{autostash,orig-head}; do
    object=$(text "$entry/$name")
    [[ ! $object ]] || echo "${name//\//-} $object"
  done
  git --git-dir "$entry" for-each-ref --format='%(refname) %(objectname)' refs/worktree refs/bisect refs/rewritten | tr / -
}

# Keeps an object under a ref, unless one that all worktrees share leads to it. Usage: keep_object ENTRY REF OBJECT WHAT
keep_object() {
  local entry=$1 ref=$2 object=$3 repository=${1%/worktrees/*} there=--points-at
  [[ $(git --git-dir "$repository" cat-file -t "$object" 2>/dev/null) != commit ]] || there=--contains
  [[ -z $(git --git-dir "$repository" for-each-ref --count=1 "$there" "$object" 2>/dev/null) ]] || return 0
  if ! git --git-dir "$repository" update-ref "$ref" "$object" 2>"$scratch/said"; then
    say "$4 cannot be kept; $entry stays: $(tail -n 1 "$scratch/said")"
    return 1
  fi
  say "$4 is on no branch and kept as $ref"
}

# Moves a folder aside whose repository has no note of it any more: git works neither in it nor in its place.
set_aside() {
  local tree=$1 name=$2 there
  there=$MESH_SIX_WORKTREES/.rescued/$now-${name//\//-}
  mkdir -p -- "${there%/*}" && mv -T -- "$tree" "$there" && say "no repository knows the worktree $tree any more; all of it is now in $there"
}

# Prints what the .git file of a worktree names: the repository's note of it.
note_of() {
  local named
  named=$(text "$1/.git")
  [[ $named == 'gitdir: '* ]] || return
  named=${named#gitdir: }
  [[ $named == /* ]] || named=$1/$named
  echo "$named"
}

# Tells a repository where a worktree is whose note is damaged, or that somebody moved, lest it be taken for gone. Git's
# own `worktree repair` would also look at all others, and give one the note of another that was in its place.
find_again() {
  local tree=$1 note
  note=$(note_of "$tree")
  [[ ! -f $note/commondir ]] || is_there "$note" && return
  { (cd -- "$tree" && echo "$(pwd -P)/.git") >"$note/gitdir.new" && mv -f -- "$note/gitdir.new" "$note/gitdir"; } 2>/dev/null &&
    say "told git where the worktree $tree is"
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
