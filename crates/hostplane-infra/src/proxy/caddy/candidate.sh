#!/bin/sh
# Runs in Caddy's container, so that it ends when Caddy, the container's first process, does:
#
#   sh -c CANDIDATE.SH caddy validate|load SITES STAGE LINKS LIMIT_S [FILE THAT GOES]...
#
# STAGE holds the main configuration and, in `come`, the files that come. The candidate is made of links, to these and to
# the others in SITES, in the directory LINKS, which is in memory: a file system that doesn't give an inode away again at
# once takes the longer for a thousand links the more were made of late. Exits with 65 when the candidate can't be made,
# with Caddy's code when Caddy refuses, and with 66 when Caddy has loaded it, but its files could not be put in place.
verb=$1 sites=$2 stage=$3 links=$4 limit=$5
shift 5
candidate=$links/${sites##*/}
trap 'rm -rf "$links"' EXIT

come() {
    find "$stage/come" -type f -exec "$@" {} +
}

go() (
    cd "$1" && shift && rm -f -- "$@"
)

rm -rf "$links" && mkdir -p "$candidate" && cp "$stage/Caddyfile" "$links/" && cp -R -s "$sites/." "$candidate" &&
    go "$candidate" "$@" && come ln -s -f -t "$candidate" || exit 65
if [ "$verb" = validate ]; then
    timeout "$limit" caddy validate --config "$links/Caddyfile" --adapter caddyfile
    exit
fi
# Renamed before they are on the disk, files could be found empty after a power cut, and one empty or truncated snippet
# keeps Caddy from starting.
come sync &
synced=$!
timeout "$limit" caddy reload --config "$links/Caddyfile" --adapter caddyfile || exit
wait "$synced" && come mv -f -t "$sites" && go "$sites" "$@" || exit 66
