# Sourced by the scripts of this directory: where things are, and settings.
# shellcheck shell=bash

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
env_file=${HOSTPLANE_ENV_FILE:-$root/.env}
PATH=$PATH:/usr/sbin:/sbin
cargo_home=${CARGO_HOME:-${HOME:-}/.cargo}
if [[ -d $cargo_home/bin ]]; then PATH=$PATH:$cargo_home/bin; fi

# These would lead the command line to a control plane that is not this instance's.
unset HOSTPLANE_API HOSTPLANE_CONTEXT HOSTPLANE_TOKEN

say() {
    echo "${0##*/}: $*"
}

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

[[ -z ${HOSTPLANE_ENV_FILE:-} || -r $env_file ]] || fail "HOSTPLANE_ENV_FILE=$env_file can't be read"

# The value of a setting: the environment's, else that of .env, else the default.
# A variable that is set to nothing counts as not set.
setting() {
    local name=$1 default=$2 line='' value
    if [[ -n ${!name-} ]]; then
        echo "${!name}"
        return
    fi
    if [[ -r $env_file ]]; then
        line=$(grep -E "^[[:space:]]*(export[[:space:]]+)?$name=" "$env_file" | tail -n 1) || true
    fi
    value=${line#*=}
    case $value in
        \"*\") value=${value#\"} && value=${value%\"} ;;
        \'*\') value=${value#\'} && value=${value%\'} ;;
    esac
    echo "${value:-$default}"
}

HOSTPLANE_HOME=$(realpath --canonicalize-missing -- "$(setting HOSTPLANE_HOME "$root/.hostplane")")
[[ $HOSTPLANE_HOME != / ]] || fail 'HOSTPLANE_HOME is /; set it to a directory for this instance alone'
export HOSTPLANE_HOME

# The Docker client asks the Engine that the control plane will ask, whatever its contexts say.
DOCKER_HOST=$(setting DOCKER_HOST unix:///var/run/docker.sock)
export DOCKER_HOST
unset DOCKER_CONTEXT DOCKER_CERT_PATH DOCKER_TLS_VERIFY

hostplane=${HOSTPLANE_BIN:-${CARGO_TARGET_DIR:-$root/target}/release/hostplane}
images_env=$HOSTPLANE_HOME/images.env

# The settings' files of `hostplane up`, `down` and `clean`; a later one wins.
env_arguments=()
settings_files() {
    env_arguments=()
    if [[ -r $images_env ]]; then env_arguments+=(--env-file "$images_env"); fi
    if [[ -r $env_file ]]; then env_arguments+=(--env-file "$env_file"); fi
}

# The names of all settings, as the program itself lists them.
setting_names() {
    env -i "$hostplane" up --help | grep -o '\[env: [A-Z0-9_]*' | cut -c 7-
}

build_control_plane() {
    if [[ -n ${HOSTPLANE_BIN:-} ]]; then
        [[ -x $hostplane ]] || fail "HOSTPLANE_BIN=$hostplane is no program; build it, or unset HOSTPLANE_BIN"
        return
    fi
    say 'building the control plane'
    cargo build --release --locked --quiet --package hostplane --manifest-path "$root/Cargo.toml" 8<&- ||
        fail 'the control plane could not be built; the cause is above'
}

# Succeeds if anything was ever made from this home.
has_installation() {
    [[ -e $HOSTPLANE_HOME/hostplane.db || -e $HOSTPLANE_HOME/secret ]]
}

engine_answers() {
    timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

# Succeeds if there is no Docker Engine, which is more than that it doesn't answer. If not, `engine_says` is why.
engine_says=
engine_is_down() {
    local socket=${DOCKER_HOST#unix://}
    engine_says=$(timeout 10 docker version 2>&1 >/dev/null) || true
    case ${engine_says:=no answer within 10 s} in
        *[Pp]'ermission denied'*) return 1 ;;
    esac
    [[ -S $socket ]] || return 0
    # The socket has a listener: the fourth column is that flag.
    if awk -v socket="$(realpath -- "$socket")" \
        '$4 == "00010000" { sub("^/var/run/", "/run/", $8); if ($8 == socket) found = 1 } END { exit !found }' \
        /proc/net/unix; then
        return 1
    fi
    case $engine_says in
        *'onnection refused'* | *'Cannot connect to the Docker daemon'*) return 0 ;;
        *) return 1 ;;
    esac
}

as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "needs root for: $*. Run it as root, or install sudo."
    fi
}

make_home() {
    (umask 077 && mkdir -p "$HOSTPLANE_HOME")
}

# Keeps one old file, once a log has more than 10 MiB.
rotate() {
    local log=$1
    if [[ -e $log && $(stat --format %s "$log") -gt $((10 * 1024 * 1024)) ]]; then mv -f "$log" "$log.1"; fi
}

# One script at a time works in a home. The descriptor is closed for what stays.
lock_home() {
    exec 8<"$HOSTPLANE_HOME"
    flock --timeout 900 8 ||
        fail "another run works in $HOSTPLANE_HOME for 15 minutes; see what it waits for"
}

# Succeeds if a control plane works in the home, however it was started.
home_is_owned() {
    local lock=$HOSTPLANE_HOME/hostplane.lock
    [[ -e $lock ]] && ! flock --nonblock "$lock" true
}

# Names the process that works in the home.
home_owner() {
    local inode pid
    inode=$(stat --format %i "$HOSTPLANE_HOME/hostplane.lock") || true
    pid=$(awk -v inode=":$inode\$" '$2 == "FLOCK" && $6 ~ inode { print $5; exit }' /proc/locks) || true
    echo "a hostplane process${pid:+ ($pid)}"
}

# A process that ended and whose parent has not waited for it (a zombie) is not alive.
is_alive() {
    [[ -d /proc/$1 ]] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

# Prints the process in a pid file if it is alive and runs the program.
process_in() {
    local file=$1 program=$2 pid
    pid=$(cat "$file" 2>/dev/null) || return 1
    # The kernel keeps 15 characters of the name.
    [[ $pid =~ ^[0-9]+$ && $(cat "/proc/$pid/comm" 2>/dev/null) == "${program:0:15}" ]] || return 1
    is_alive "$pid" && echo "$pid"
}

# Prints the control plane's process, if it is this instance's and alive.
control_plane() {
    local pid
    pid=$(process_in "$HOSTPLANE_HOME/hostplane.pid" "${hostplane##*/}") || return 1
    tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null |
        grep -Fxq "HOSTPLANE_HOME=$HOSTPLANE_HOME" || return 1
    echo "$pid"
}

# Waits until a process has ended: wait_for_end PID SECONDS
wait_for_end() {
    local pid=$1 deadline=$((SECONDS + $2))
    while is_alive "$pid"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.1
    done
}
