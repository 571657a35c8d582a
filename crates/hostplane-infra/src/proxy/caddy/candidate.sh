#!/bin/sh
# Runs in Caddy's container, so that it ends when Caddy, the container's first process, does:
#
#   sh -c CANDIDATE.SH caddy validate|load CONF STAGE LINKS [FILE THAT GOES]...
#
# CONF is the directory of Caddy's configuration, with the snippets in `sites`; STAGE holds, in `come`, the snippets that
# come. The candidate is CONF with that change, made of links in the directory LINKS, which is in memory: a file system
# that doesn't give an inode away again at once takes the longer for a thousand links the more were made recently. Exits
# with 65 when the candidate can't be made, with Caddy's code when Caddy refuses, and with 66 when Caddy has loaded it,
# but its files could not be put in place.
verb=$1 conf=$2 stage=$3 links=$4
shift 4
sites=$conf/sites candidate=$links/sites
trap 'rm -rf "$links"' EXIT

link_the_rest() {
    for entry in "$conf"/*; do
        case ${entry##*/} in
            sites | staging) ;;
            *) ln -s "$entry" "$links/" || return ;;
        esac
    done
    [ -f "$links/Caddyfile" ] || { echo "there is no $conf/Caddyfile" >&2 && return 1; }
}

if_any_come() {
    [ -z "$(ls "$stage/come")" ] || "$@"
}

go() (
    cd "$1" && shift && rm -f -- "$@"
)

mkdir -p "$candidate" && link_the_rest && cp -R -s "$sites/." "$candidate" && go "$candidate" "$@" &&
    ls "$stage/come" >/dev/null && if_any_come ln -s -f "$stage"/come/* "$candidate/" || exit 65
if [ "$verb" = validate ]; then
    caddy validate --config "$links/Caddyfile" --adapter caddyfile
    exit
fi
# Renamed before they are on the disk, files could be found empty after a power cut, and one empty or truncated snippet
# keeps Caddy from starting.
if_any_come sync "$stage"/come/* &
synced=$!
caddy reload --config "$links/Caddyfile" --adapter caddyfile || exit
wait "$synced" && if_any_come mv -f "$stage"/come/* "$sites/" && go "$sites" "$@" || exit 66
