#!/usr/bin/env bash
# What runs in an environment's pod. Envbuilder starts it as the container's user, in the clone, once the image is there.
#
# It knows the order of things: what a killed pod left is put in order, the login is fetched, Dapr is answered, a tmux
# session is there, and last the readiness file is written; SIGTERM undoes that. How each is done, its parts beside it
# know: recovery.sh, credentials.sh, port.mjs. They run without the keys and tokens that only sessions need.
# docs/pods.md describes the environment and the files.
set -uo pipefail

here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
part=entrypoint
# shellcheck source=devcontainer-features/mesh-six-tools/share/log.sh
. "$here/log.sh"

# Started from within tmux, as on somebody's own machine, it would else take that person's server for its own: these
# say more than TMUX_TMPDIR.
unset TMUX TMUX_PANE

readonly session=mesh-six
clone=$PWD
run=${MESH_SIX_RUN_DIRECTORY:-/tmp/mesh-six}
# Well below the pod's terminationGracePeriodSeconds.
stop_seconds=${MESH_SIX_STOP_SECONDS:-40}
# What the parts may see of the environment: what the system sets, and what the manifests do for them.
seen='PATH|HOME|USER|LOGNAME|LANG|LC_.*|TZ|TMPDIR|XDG_CONFIG_HOME|GIT_CONFIG_(GLOBAL|SYSTEM)'
seen+='|(HTTP|HTTPS|NO)_PROXY|(http|https|no)_proxy|SSL_CERT_(FILE|DIR)|CURL_CA_BUNDLE|CLAUDE_CONFIG_DIR'
seen+='|MESH_SIX_(PROJECT|WORKTREES|RUN_DIRECTORY|APP_PORT|REFRESH_SECONDS|RESCUE_SECONDS|AUTH_SERVICE_URL|AUTH_TOKEN_FILE)'
readonly seen
credentials=
port=
lock=
tmux_server=
was_ready=
complaint=
problem=

# Ends with 2 where this can never work: a pod that restarts shows that, one that waits does not.
check() {
  local name missing=()
  for name in MESH_SIX_PROJECT MESH_SIX_WORKTREES CLAUDE_CONFIG_DIR; do
    [[ -n ${!name-} ]] || missing+=("variable $name")
  done
  [[ ${MESH_SIX_PROJECT-} =~ ^[a-z0-9-]*$ ]] || missing+=('slug in MESH_SIX_PROJECT')
  if [[ -n ${MESH_SIX_AUTH_SERVICE_URL-} ]]; then
    [[ -n ${MESH_SIX_AUTH_TOKEN_FILE-} ]] || missing+=('variable MESH_SIX_AUTH_TOKEN_FILE')
    [[ $MESH_SIX_AUTH_SERVICE_URL =~ ^https?://[^[:space:]\"\\]+$ ]] || missing+=('URL in MESH_SIX_AUTH_SERVICE_URL')
  fi
  for name in MESH_SIX_REFRESH_SECONDS MESH_SIX_RESCUE_SECONDS MESH_SIX_STOP_SECONDS MESH_SIX_APP_PORT; do
    [[ ! -v $name || ${!name} =~ ^[1-9][0-9]{0,5}$ ]] || missing+=("whole number in $name")
  done
  for name in tmux git curl jq node tar flock setpriv; do
    command -v "$name" >/dev/null || missing+=("program $name")
  done
  ((${#missing[@]} == 0)) && return
  for name in "${missing[@]}"; do say "there is no $name"; done
  say 'the environment has to be made by the reconciler, and the image with the feature mesh-six-tools (docs/pods.md)'
  exit 2
}

# Returns 0 when this process has the lock that others would try to take.
has_lock() {
  [[ $lock && $run/lock -ef /proc/$$/fd/$lock ]]
}

# Takes the run directory for this process alone. Returns 1 with $problem.
claim() {
  local error taken
  if ! error=$(mkdir -p -- "$run" 2>&1) || ! [[ -O $run && -w $run ]] || ! error=$({ : >>"$run/lock"; } 2>&1); then
    problem="cannot write to $run, where the readiness file has to be${error:+: ${error##*: }}"
    return 1
  fi
  if ! has_lock; then
    exec {taken}>>"$run/lock"
    if ! flock --nonblock "$taken"; then
      exec {taken}>&-
      problem='another entrypoint is running here already'
      return 1
    fi
    [[ -z $lock ]] || exec {lock}>&-
    lock=$taken
  fi
  rm -f -- "$run"/{ready,login,port}
}

# Returns 0 when what has to be in the run directory is gone: in sessions people tidy up /tmp.
is_lost() {
  ! has_lock || { [[ $was_ready ]] && ! parts_answered; }
}

# Makes the run directory again, and has the parts begin anew in it. Returns 1 while that cannot be.
claim_again() {
  if ! claim; then
    complain "$problem; trying again"
    return 1
  fi
  say "something removed files from $run; making them again, and starting the parts anew"
  # shellcheck disable=SC2086 # none, one or two ids
  [[ -z $credentials$port ]] || { kill $credentials $port; wait $credentials $port; } 2>/dev/null
  credentials='' port='' was_ready='' complaint=''
}

# Becomes a part: without what is not for it to see, not outliving this process, not holding its lock. Only names are on
# its command line, no values. Always started in the background.
become() {
  local entry hidden=()
  while IFS= read -r -d '' entry; do
    [[ ${entry%%=*} =~ ^($seen|)$ ]] || hidden+=(--unset="${entry%%=*}")
  done <"/proc/$$/environ"
  exec {lock}>&-
  # The signal comes only from a parent that still lives when it is asked for.
  # shellcheck disable=SC2016 # for the inner shell
  exec setpriv --pdeathsig TERM sh -c '[ "$PPID" = "$0" ] && exec env "$@"' $$ "${hidden[@]}" "$@"
}

alive() {
  [[ -n $1 ]] && kill -0 "$1" 2>/dev/null
}

pause() {
  become sleep "$1" &
  wait $!
}

recover() {
  become "$BASH" "$here/recovery.sh" &
  wait $! || say 'the recovery did not end well; the worktrees are as it left them'
}

# Starts the parts that do not run: at first, and again when one has ended.
start_parts() {
  if [[ -n ${MESH_SIX_AUTH_SERVICE_URL-} ]] && ! alive "$credentials"; then
    [[ -z $credentials ]] || again credentials.sh
    become "$BASH" "$here/credentials.sh" &
    credentials=$!
  fi
  if [[ -n ${MESH_SIX_APP_PORT-} ]] && ! alive "$port"; then
    [[ -z $port ]] || again port.mjs
    become node "$here/port.mjs" &
    port=$!
  fi
}

again() {
  say "$1 has ended; starting it again"
  pause 2
}

# Says what is wrong, once for as long as it is the same.
complain() {
  [[ $1 == "$complaint" ]] || say "$1"
  complaint=$1
}

has_session() {
  tmux has-session -t "=$session" 2>/dev/null
}

# Has tmux's server, which runs on with its sessions when /tmp was tidied up, make its socket again.
make_socket_again() {
  local name
  { read -r name <"/proc/$tmux_server/comm"; } 2>/dev/null && [[ $name == tmux* ]] || return
  ! tmux list-sessions >/dev/null 2>&1 || return
  for _ in {1..25}; do
    kill -USR1 "$tmux_server"
    pause 0.2
    tmux list-sessions >/dev/null 2>&1 && say "made tmux's socket again; the sessions are as they were" && return
  done
  say "tmux's server does not answer any more; the sessions that it had cannot be reached"
  return 1
}

# Starts the session that people and agents work in, with the whole environment.
start_session() {
  local error
  has_session && return
  make_socket_again && has_session && return
  if ! error=$(tmux -u new-session -d -s "$session" -c "$clone" 2>&1 {lock}>&-); then
    complain "tmux cannot start the session: $error"
    pause 2
    return
  fi
  tmux_server=$(tmux display-message -p '#{pid}' 2>/dev/null)
}

# Returns 0 when the parts have said in the run directory how they stand.
parts_answered() {
  [[ -z ${MESH_SIX_AUTH_SERVICE_URL-} || -e $run/login ]] && [[ -z ${MESH_SIX_APP_PORT-} || -e $run/port ]]
}

become_ready() {
  local error
  parts_answered && has_session || return
  if ! error=$({ : >"$run/ready"; } 2>&1); then
    complain "cannot write $run/ready: ${error##*: }"
    return 1
  fi
  was_ready=yes
  say "ready; the session is: tmux -S $(tmux display-message -p '#{socket_path}') attach -t $session"
}

# Prints the ids of the processes in tmux's panes: those of the terminal sessions that $1 names by their leaders.
in_panes() {
  local file line fields
  for file in /proc/[0-9]*/stat; do
    { read -r line <"$file"; } 2>/dev/null || continue
    read -r -a fields <<<"${line##*) }"
    [[ ${fields[0]} == Z || " $1 " != *" ${fields[3]} "* ]] || echo "${line%% *}"
  done
}

# Returns 0 as soon as nothing is left in the panes, 1 when that takes too many seconds.
panes_end() {
  local deadline=$((SECONDS + $2))
  while [[ $(in_panes "$1") ]]; do
    ((SECONDS < deadline)) || return 1
    pause 0.2
  done
}

# Hangs up on every session, which is how a terminal tells its programs to end; asks again those that did not hear it.
end_sessions() {
  local leaders
  leaders=$(tmux list-panes -a -F '#{pane_pid}' 2>/dev/null | tr '\n' ' ')
  [[ $leaders ]] || return
  tmux kill-server 2>/dev/null
  panes_end "$leaders" $((stop_seconds / 2)) && return
  # shellcheck disable=SC2046 # process ids
  kill $(in_panes "$leaders") 2>/dev/null
  panes_end "$leaders" $((stop_seconds / 2)) || say "some programs in the sessions did not end within $stop_seconds s"
}

stop() {
  trap '' TERM INT
  say 'told to stop'
  rm -f -- "$run/ready"
  # shellcheck disable=SC2046 # process ids
  kill $(jobs -p) 2>/dev/null
  end_sessions
  # They end at once, and tidy up.
  # shellcheck disable=SC2086 # one or two ids
  [[ -z $credentials$port ]] || wait $credentials $port
  say 'stopped'
  exit 0
}

check
claim || {
  say "$problem"
  exit 1
}
trap stop TERM INT
# tmux's windows would get the user's own shell, which for some users of images is one that ends at once.
export SHELL=${SHELL:-$BASH}
if [[ -r $here/version ]]; then
  MESH_SIX_TOOLS_VERSION=$(<"$here/version")
  export MESH_SIX_TOOLS_VERSION
fi
say "starting for project $MESH_SIX_PROJECT"
[[ -n ${MESH_SIX_AUTH_SERVICE_URL-} ]] || say "no login is fetched; the sessions use ${ANTHROPIC_BASE_URL:-what they find}"
recover
while :; do
  if is_lost && ! claim_again; then
    pause 2
    continue
  fi
  start_parts
  start_session
  if [[ -e $run/ready ]]; then pause 5; elif become_ready; then :; else pause 0.2; fi
done
