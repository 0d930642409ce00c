# shellcheck shell=bash
# How the recovery copies work that is not committed to refs/mesh-six/rescue/. Sourced by it, never run.

: "${now:?}" "${scratch:?}" "${limit:?}" "${rescues:?}"
# Stays free on the volume, in bytes, unless a twentieth of the volume is less.
readonly reserve=$((1 << 30))

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
