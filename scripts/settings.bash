# Sourced by the scripts of this directory: where things are, and settings.
# shellcheck shell=bash

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
env_file=$root/.env
PATH=$PATH:/usr/sbin:/sbin
[[ -d ${CARGO_HOME:-$HOME/.cargo}/bin ]] && PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin

say() {
    echo "${0##*/}: $*"
}

fail() {
    echo "${0##*/}: $*" >&2
    exit 1
}

# The value of a setting: the environment's, else that of .env, else the default.
setting() {
    local name=$1 default=$2 line value
    if [[ -n ${!name+set} ]]; then
        echo "${!name}"
        return
    fi
    line=
    if [[ -r $env_file ]]; then
        line=$(grep -E "^[[:space:]]*(export[[:space:]]+)?$name=" "$env_file" | tail -n 1) || true
    fi
    if [[ -z $line ]]; then
        echo "$default"
        return
    fi
    value=${line#*=}
    case $value in
        \"*\") value=${value#\"} && value=${value%\"} ;;
        \'*\') value=${value#\'} && value=${value%\'} ;;
    esac
    echo "$value"
}

HOSTPLANE_HOME=$(setting HOSTPLANE_HOME "$root/.hostplane")
[[ $HOSTPLANE_HOME == /* ]] || HOSTPLANE_HOME=$PWD/$HOSTPLANE_HOME
HOSTPLANE_HOME=${HOSTPLANE_HOME%/}
export HOSTPLANE_HOME

# The Docker client asks the Engine that the control plane will ask.
DOCKER_HOST=$(setting DOCKER_HOST '')
if [[ -n $DOCKER_HOST ]]; then export DOCKER_HOST; else unset DOCKER_HOST; fi
docker_certificates=$(setting DOCKER_CERT_DIR '')
if [[ -n $docker_certificates ]]; then
    export DOCKER_CERT_PATH=$docker_certificates DOCKER_TLS_VERIFY=1
fi

# shellcheck disable=SC2034 # for the scripts that source this file
hostplane=${CARGO_TARGET_DIR:-$root/target}/release/hostplane
images_env=$HOSTPLANE_HOME/images.env

# The settings' files of `hostplane up`, `down` and `clean`; a later one wins.
env_arguments=()
settings_files() {
    env_arguments=()
    if [[ -r $images_env ]]; then env_arguments+=(--env-file "$images_env"); fi
    if [[ -r $env_file ]]; then env_arguments+=(--env-file "$env_file"); fi
}

engine_answers() {
    timeout 10 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
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

# One script at a time works in a home. The descriptor is closed for what stays.
lock_home() {
    exec 8<"$HOSTPLANE_HOME"
    flock --timeout 900 8 ||
        fail "another run works in $HOSTPLANE_HOME for 15 minutes; see what it waits for"
}

# A process that ended and that nobody waited for (a zombie) is not alive.
is_alive() {
    [[ -d /proc/$1 ]] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}

# Prints the process in a pid file if it is alive and runs the program.
process_in() {
    local file=$1 program=$2 pid
    pid=$(cat "$file" 2>/dev/null) || return 1
    [[ $pid =~ ^[0-9]+$ && $(cat "/proc/$pid/comm" 2>/dev/null) == "$program" ]] || return 1
    is_alive "$pid" && echo "$pid"
}

# Prints the control plane's process, if it is this instance's and alive.
control_plane() {
    local pid
    pid=$(process_in "$HOSTPLANE_HOME/hostplane.pid" hostplane) || return 1
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
