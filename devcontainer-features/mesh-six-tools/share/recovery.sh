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
# Stays free on the volume, in bytes, unless a twentieth of the volume is less.
readonly reserve=$((1 << 30))
clone=$PWD
now=$(TZ=UTC0 printf '%(%Y%m%dT%H%M%SZ)T' -1)
scratch=$(mktemp -d) || exit 1
quarantine=
trap 'rm -rf -- "$scratch" ${quarantine:+"$quarantine"}' EXIT

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

# Keeps a tree as a commit of its own under refs/mesh-six/rescue/NAME/, unless one there holds the same.
# Usage: keep GIT_DIR TREE NAME. Prints the ref.
keep() {
  local git_dir=$1 tree=$2 name=$3 head commit ref
  ref=$(git_at "$git_dir" for-each-ref --format='%(tree) %(refname)' "$rescues/$name" | grep "^$tree ")
  if [[ $ref ]]; then
    ref=${ref%%$'\n'*}
    echo "${ref#* }"
    return
  fi
  head=$(git_at "$git_dir" rev-parse --quiet --verify 'HEAD^{commit}')
  commit=$(
    export GIT_AUTHOR_NAME='mesh-six recovery' GIT_AUTHOR_EMAIL=recovery@mesh-six.invalid
    export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL
    git_at "$git_dir" commit-tree ${head:+-p "$head"} -m "Work of $name that was not committed" "$tree"
  ) || return
  ref=$rescues/$name/$now-${commit:0:7}
  git_at "$git_dir" update-ref "$ref" "$commit" && echo "$ref"
}

# Makes a name for refs of what may be any path.
ref_name() {
  local name=${1//[^A-Za-z0-9_\/-]/-}
  echo "${name:-unnamed}"
}

# Prints how many bytes rescues may still take on a folder's volume.
room_at() {
  local free all block kept
  read -r free all block < <(stat --file-system --format='%a %b %S' -- "$1")
  kept=$((all * block / 20))
  echo $((free * block - (kept < reserve ? kept : reserve)))
}

# Prints those of the changed files of a worktree that there is no room for, each ended by NUL. The smallest come first
# in the room, so that as many as can be are rescued.
too_large() {
  local tree=$1 room line used=0
  room=$(room_at "$quarantine")
  while IFS= read -r -d '' line; do
    # An object of its own takes a block more than its file.
    used=$((used + ${line%% *} + 8192))
    ((used <= room)) || printf '%s\0' "${line#* }"
  done < <(cd -- "$tree" && xargs -0r stat --printf '%s %n\0' -- <"$scratch/changed" 2>/dev/null | sort -zn)
}

# Adds everything that there is room for to the index that GIT_INDEX_FILE names. Says what it cannot add.
add_all() {
  local tree=$1 skipped options=() code
  git_in "$tree" ls-files -z --modified --others --exclude-standard --deduplicate >"$scratch/changed" 2>"$scratch/said"
  code=$?
  if ((code == 0)); then
    mapfile -d '' -t skipped < <(too_large "$tree")
    if ((${#skipped[@]})); then
      say "there is no room to rescue ${#skipped[@]} files of $tree, which stay as they are: ${skipped[*]:0:10}"
      printf ':(exclude,top,literal)%s\0' "${skipped[@]}" >"$scratch/paths"
      options=(--pathspec-from-file="$scratch/paths" --pathspec-file-nul)
    fi
    git_in "$tree" add --all --ignore-errors "${options[@]}" 2>"$scratch/said"
    code=$?
  fi
  case $code in
  0) return ;;
  124 | 137) echo "error: git takes longer than $limit s, as when a file that it reads is a pipe" >"$scratch/said" ;;
  esac
  say "not all of $tree can be rescued, and it stays as it is: $(grep -m 1 -E '^(error|fatal)' "$scratch/said")"
  # 1 is what git says when it left out some. Otherwise it gave up, and what it copied till then is of no use.
  ((code == 1)) || find "$quarantine" -type f -not -name alternates -delete
}

# Moves what git wrote in quarantine to the repository's objects; the indexes of packs come last.
release() {
  local objects=${quarantine%/*} files place
  for files in "$quarantine"/?? "$quarantine"/pack/*.{pack,rev,idx}; do
    [[ -e $files ]] || continue
    place=$objects/pack
    [[ ! -d $files ]] || place=$objects/${files##*/}
    mkdir -p -- "$place" && find "$files" -type f -exec mv -f -t "$place" -- {} + || return
  done
}

# Makes a copy of a worktree's index, for git to work on.
copy_index() {
  local tree=$1 index=$2
  rm -f -- "$GIT_INDEX_FILE"
  # A copy of the index knows what is unchanged; a broken one is no loss, for then everything is read anew. Its time has
  # to stay: by it git tells which files may have changed within the second in which the index was written.
  [[ ! -f $index ]] || cp --preserve=timestamps -- "$index" "$GIT_INDEX_FILE" 2>/dev/null
  if ! git_in "$tree" ls-files >/dev/null 2>&1; then
    say "the index of $tree is broken; what was staged cannot be told from the rest (git -C $tree reset makes a new one)"
    rm -f -- "$GIT_INDEX_FILE"
    git_in "$tree" read-tree HEAD 2>/dev/null
  fi
}

# Makes the folder that git writes to first, lest what comes to nothing fill the volume. Git itself names such ones so.
open_quarantine() {
  quarantine=$(mktemp -d "$1/objects/tmp_objdir-mesh-six.XXXXXX") &&
    mkdir -- "$quarantine/info" && echo .. >"$quarantine/info/alternates"
}

# Copies what is not committed in a worktree; the worktree, its index and its branch stay as they are.
rescue() {
  local tree=$1 git_dir
  git_dir=$(git_in "$tree" rev-parse --absolute-git-dir 2>"$scratch/said") || {
    say "git cannot read $tree, which stays as it is: $(tail -n 1 "$scratch/said")"
    return
  }
  under_way "$tree" "$git_dir"
  if ! { open_quarantine "$(repository_of "$tree")" 2>"$scratch/said" && copy_work "$tree" "$git_dir" "$(ref_name "$2")"; }; then
    say "what is not committed in $tree cannot be rescued, and is still there: $(tail -n 1 "$scratch/said")"
  fi
  [[ ! $quarantine ]] || rm -rf -- "$quarantine"
  quarantine=
}

# Does so by way of the quarantine. Returns 1 with the reason in $scratch/said.
copy_work() {
  local tree=$1 git_dir=$2 name=$3 made head ref
  local -x GIT_INDEX_FILE=$scratch/index GIT_OBJECT_DIRECTORY=$quarantine
  copy_index "$tree" "$git_dir/index"
  add_all "$tree"
  made=$(git_at "$git_dir" write-tree 2>"$scratch/said") || return
  unset GIT_INDEX_FILE GIT_OBJECT_DIRECTORY
  head=$(git_in "$tree" rev-parse --quiet --verify 'HEAD^{tree}' || git_in "$tree" hash-object -t tree /dev/null)
  [[ $made != "$head" ]] || return 0
  release 2>"$scratch/said" && ref=$(keep "$git_dir" "$made" "$name" 2>"$scratch/said") || return
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
  if ! tree=$(git_at "$entry" write-tree 2>/dev/null); then
    say "what was staged in $whose cannot be kept: it was in the middle of a merge, or its index is broken; $entry stays, for a person to look at"
    return 1
  fi
  [[ $tree != "$(git_at "$entry" rev-parse --quiet --verify 'HEAD^{tree}')" ]] || return 0
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
  object=$(git_at "$entry" rev-parse --quiet --verify 'HEAD^{commit}') || git_at "$entry" symbolic-ref HEAD >/dev/null || return
  [[ ! $object ]] || echo "commit $object"
  for name in MERGE_AUTOSTASH rebase-{merge,apply}/{autostash,orig-head}; do
    object=$(text "$entry/$name")
    [[ ! $object ]] || echo "${name//\//-} $object"
  done
  git_at "$entry" for-each-ref --format='%(refname) %(objectname)' refs/worktree refs/bisect refs/rewritten | tr / -
}

# Keeps an object under a ref, unless one that all worktrees share leads to it. Usage: keep_object ENTRY REF OBJECT WHAT
keep_object() {
  local entry=$1 ref=$2 object=$3 repository=${1%/worktrees/*} there=--points-at
  [[ $(git_at "$repository" cat-file -t "$object" 2>/dev/null) != commit ]] || there=--contains
  [[ -z $(git_at "$repository" for-each-ref --count=1 "$there" "$object" 2>/dev/null) ]] || return 0
  if ! git_at "$repository" update-ref "$ref" "$object" 2>"$scratch/said"; then
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
