# shellcheck shell=bash
# How the recovery keeps git's notes of worktrees (.git/worktrees/) in step with the folders, and what only they lead to.
# Sourced by it, after rescue.sh, never run.

: "${now:?}" "${scratch:?}" "${rescues:?}"

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
