#!/usr/bin/env bash
# Keeps the login and the settings of the Claude command line those that the auth-service hands out for this project.
#
# It knows the auth-service's two requests for pods (docs/auth-service.md) and the command line's files. It must not
# know of tmux, git or readiness. Secrets go through pipes and files that only this user can read: never onto a
# command line, into the environment, or into what it says. It runs until it is told to end.
set -uo pipefail
umask 077

part=credentials
# shellcheck source=devcontainer-features/mesh-six-tools/share/log.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/log.sh"

run=${MESH_SIX_RUN_DIRECTORY:-/tmp/mesh-six}
interval=${MESH_SIX_REFRESH_SECONDS:-60}
login=$CLAUDE_CONFIG_DIR/.credentials.json
# What was handed out last: with it the command line's own changes can be told from the auth-service's.
memory=$CLAUDE_CONFIG_DIR/.mesh-six
# In KiB, far more than any answer or any file of a bundle needs.
largest=1024
outcome=
problem=

# Makes what was handed out into what the command line wants: an instant in milliseconds, and scopes as an array, of
# which it needs that one to see a login at all. The auth-service hands out none.
readonly read_login='
  if length == 1 then .[0].claudeAiOauth else error end
  | if (.accessToken | type) == "string" and .accessToken != "" then . else error end
  | .expiresAt |= (if type != "number" or . <= 0 then error elif . < 1e11 then . * 1000 else . end | floor)
  | .scopes |= (if type == "array" and length > 0 then map(strings) else ["user:inference"] end)
  | if .refreshToken == null then del(.refreshToken) else . end'
readonly is_bundle='^[A-Za-z0-9-]{1,64}$'
readonly is_login='
  length == 1 and (.[0].claudeAiOauth?
    | type == "object" and (.accessToken | type) == "string" and .accessToken != "" and (.scopes | type) == "array")'

# Sends a request about this project: POST with fields of JSON, GET without. Leaves the answer in $scratch/answer and its
# HTTP status in $status; without an answer it returns 1 and $problem says why.
request() {
  local path=$1 fields=${2-} token='' code
  { token=$(<"$MESH_SIX_AUTH_TOKEN_FILE"); } 2>/dev/null
  if ! [[ $token =~ ^[A-Za-z0-9._~+/=-]+$ ]]; then
    problem="this pod's token cannot be read from $MESH_SIX_AUTH_TOKEN_FILE"
    return 1
  fi
  {
    printf 'url = "%s/projects/%s/%s"\n' "${MESH_SIX_AUTH_SERVICE_URL%/}" "$MESH_SIX_PROJECT" "$path"
    printf 'header = "Authorization: Bearer %s"\n' "$token"
    [[ -z $fields ]] || printf 'header = "Content-Type: application/json"\ndata = "{%s}"\n' "${fields//\"/\\\"}"
  } | (
    ulimit -f "$largest" -c 0
    exec curl --disable --config - --globoff --silent --proto '=http,https' --connect-timeout 5 --max-time 20 \
      --output "$scratch/answer" --write-out '%{http_code}' >"$scratch/status" 2>/dev/null
  ) &
  wait $!
  code=$?
  status=$(<"$scratch/status")
  ((code == 0)) || {
    problem="the auth-service does not answer: $(unanswered "$code")"
    return 1
  }
}

# Says in words that never change what curl's exit code means: a line that changes would be said again each time.
unanswered() {
  case $1 in
  5 | 6) echo 'its name does not resolve' ;;
  7) echo 'nothing listens at its address' ;;
  23) echo "its answer cannot be stored below $run" ;;
  28) echo 'it takes too long' ;;
  35 | 51 | 53 | 58 | 60 | 77 | 83) echo 'its certificate is not trusted, or TLS failed' ;;
  153) echo 'its answer is far too large' ;;
  *) echo "the connection failed (curl's exit code $1)" ;;
  esac
}

# Returns 0 when the answer is there to be read, else 1 with $problem.
accepted() {
  case $status in
  200) return 0 ;;
  401 | 403) problem="the auth-service refuses this pod's token (HTTP $status)" ;;
  *) problem="the auth-service answers with HTTP $status" ;;
  esac
  return 1
}

# Writes what it reads to a file: all of it or nothing, for this user only. Returns 1 with $problem.
put() {
  local target=$1 new said
  # On the same volume as what it replaces.
  if ! { said=$(mkdir -p -- "$memory" 2>&1) && said=$(mktemp "$memory/new.XXXXXX" 2>&1); }; then
    problem="cannot write below $CLAUDE_CONFIG_DIR: ${said##*: }"
    return 1
  fi
  new=$said
  # Flushed before it gets its name: after a power cut there is the old file or the new one, and no empty one. What is
  # only remembered may be lost, and is not worth the wait.
  if ! said=$({ cat >"$new" && { [[ $target == "$memory"/* ]] || sync -- "$new"; } && mv -fT -- "$new" "$target"; } 2>&1); then
    rm -f -- "$new"
    problem="cannot write $target: ${said##*: }"
    return 1
  fi
}

# Takes one file out of the bundle, as $scratch/$2.
unpack() {
  (
    ulimit -f "$largest" -c 0
    exec tar --extract --gzip --to-stdout --occurrence=1 --file "$scratch/bundle" -- "$1"
  ) >"$scratch/$2" 2>/dev/null
}

# Lays the keys of a handed out JSON file into the command line's own file, which people and it write to as well: keys
# that were handed out before and no longer are go, all others stay. What cannot be merged is left alone, and said.
merge() {
  local handed_out=$1 target=$2 before=$memory/$1
  [[ -s $before ]] || before=$scratch/nothing
  if [[ -e $target ]] && cmp --silent "$scratch/$handed_out" "$before"; then return 0; fi
  local own=$target
  [[ -s $own ]] || own=$scratch/nothing
  if ! jq --slurp 'if length == 3 and all(type == "object") then . else error end
      | .[1] as $before | (.[0] | delpaths([$before | keys[] | [.]])) + .[2]' \
    "$own" "$before" "$scratch/$handed_out" >"$scratch/merged" 2>/dev/null; then
    say "$target is left as it is: it, or what the auth-service hands out for it, is no JSON object"
    return 0
  fi
  cmp --silent "$scratch/merged" "$target" || put "$target" <"$scratch/merged" || return 1
  put "$memory/$handed_out" <"$scratch/$handed_out"
}

# Writes the login, unless it is the one that was handed out before: the command line renews its tokens itself, and
# what it has then is newer.
write_login() {
  local usable=$1 mark own=$login
  mark=$(sha256sum <"$scratch/login")
  if [[ $usable ]] && [[ -e $memory/login && $mark == "$(<"$memory/login")" ]]; then return 0; fi
  jq --exit-status --slurp 'length == 1 and (.[0] | type) == "object"' "$own" >/dev/null 2>&1 || own=$scratch/nothing
  # Its other keys are the command line's: the logins of tool servers.
  jq --slurp '.[0] + {claudeAiOauth: .[1]}' "$own" "$scratch/login" >"$scratch/merged" 2>/dev/null
  put "$login" <"$scratch/merged" && put "$memory/login" <<<"$mark" && say 'wrote the login that was handed out'
}

# Fetches a bundle and makes its files the command line's; $2 says whether that has a login now. Returns 1 with $problem.
take() {
  local bundle=$1 usable=$2
  [[ $bundle =~ $is_bundle ]] && request "provision/$bundle" && accepted || return 1
  mv -f -- "$scratch/answer" "$scratch/bundle"
  problem='the bundle that the auth-service hands out holds no usable login'
  unpack .claude/.credentials.json handed-out || return 1
  jq --slurp "$read_login" "$scratch/handed-out" >"$scratch/login" 2>/dev/null || return 1
  write_login "$usable" || return 1
  if unpack .claude/settings.json settings.json; then merge settings.json "$CLAUDE_CONFIG_DIR/settings.json" || return 1; fi
  if unpack .claude.json claude.json; then merge claude.json "$CLAUDE_CONFIG_DIR/.claude.json" || return 1; fi
  put "$memory/bundle" <<<"$bundle"
}

# Brings the files up to date once. Returns 0 with $outcome, or 1 with $problem.
refresh() {
  local fields="\"podName\": \"${HOSTNAME//[^A-Za-z0-9.-]/-}\"" usable='' answer='' bundle=''
  echo '{}' >"$scratch/nothing"
  if jq --exit-status --slurp "$is_login" "$login" >/dev/null 2>&1; then usable=yes; fi
  # Names the bundle only with its login still there; else that is wanted anew.
  if [[ $usable && -r $memory/bundle ]]; then bundle=$(<"$memory/bundle"); fi
  [[ ! $bundle =~ $is_bundle ]] || fields+=", \"currentBundleId\": \"$bundle\""
  request provision "$fields" && accepted || return 1
  read -r answer bundle < <(jq --raw-output '"\(.status) \(.bundleId)"' "$scratch/answer" 2>/dev/null)
  problem='the auth-service gave an answer that makes no sense'
  case $answer in
  current) ;;
  provisioned) take "$bundle" "$usable" || return 1 ;;
  no_credentials)
    outcome='not logged in: the auth-service has no valid credentials for this project yet'
    [[ ! $usable ]] || outcome='the auth-service has no valid credentials any more; the login that is here stays'
    return 0
    ;;
  *) return 1 ;;
  esac
  outcome='logged in with what the auth-service hands out'
}

# Says how things stand where that changed, and keeps it in the file $run/login for people to read.
announce() {
  [[ -e $run/login && $1 == "$(<"$run/login")" ]] && return
  say "$1"
  printf '%s\n' "$1" >"$scratch/said" && chmod 0644 "$scratch/said" && mv -f -- "$scratch/said" "$run/login"
}

# Ends when something removed the folder that answers are kept in for a moment; the entrypoint starts another.
check_scratch() {
  [[ ! -d $scratch || ! -w $scratch ]] || return 0
  say "something removed $scratch; ending, to begin anew"
  exit 1
}

# Sleeps for so many seconds, give or take a tenth: a thousand pods must not ask at the same time.
pause() {
  local milliseconds=$(($1 * (900 + RANDOM % 200)))
  sleep "$((milliseconds / 1000)).$(printf '%03d' $((milliseconds % 1000)))" &
  wait $!
}

# What a killed one left may hold secrets.
rm -rf -- "$run"/credentials.* "$memory"/new.*
scratch=$(mktemp -d "$run/credentials.XXXXXX") || exit 1
# A second signal, as when the entrypoint ends too, must not keep it from that.
# shellcheck disable=SC2046 # process ids
trap 'trap "" TERM INT; kill $(jobs -p) 2>/dev/null; rm -rf -- "$scratch"' EXIT
trap 'exit 0' TERM INT

failures=0
while :; do
  check_scratch
  if refresh; then
    failures=0
    delay=$interval
    announce "$outcome"
  else
    # Then that is the reason, whatever the refresh took for it.
    check_scratch
    failures=$((failures < 10 ? failures + 1 : 10))
    delay=$((2 ** failures < interval ? 2 ** failures : interval))
    announce "$problem; trying again"
  fi
  # Nothing of an answer outlives its use.
  rm -rf -- "${scratch:?}"/*
  pause "$delay"
done
