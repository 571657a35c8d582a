#!/bin/sh
# Runs in Caddy's container, so that it ends when Caddy, the container's first process, does:
#
#   sh -c CANDIDATE.SH caddy validate|load SITES STAGE LIMIT_S [FILE THAT GOES]...
#
# STAGE holds the main configuration, an empty directory of snippets and, in `come`, the files that come. Snippets become
# these, and links to the others in SITES. Exits with 65 when it can't be made, with Caddy's code when Caddy refuses, and
# with 66 when Caddy has loaded the candidate, but its files could not be put in place.
verb=$1 sites=$2 stage=$3 limit=$4
shift 4
own=$stage/${sites##*/}

go() (
    cd "$1" && shift && rm -f -- "$@"
)

# What came is a file, the others are links.
come() {
    find "$own" -maxdepth 1 -type f -exec "$@" {} +
}

cp -R -s "$sites/." "$own" && go "$own" "$@" && find "$stage/come" -type f -exec mv -f -t "$own" {} + || exit 65
if [ "$verb" = validate ]; then
    exec timeout "$limit" caddy validate --config "$stage/Caddyfile" --adapter caddyfile
fi
# Renamed before they are on the disk, files could be found empty after a power cut, and one empty or truncated snippet
# keeps Caddy from starting.
come sync &
synced=$!
timeout "$limit" caddy reload --config "$stage/Caddyfile" --adapter caddyfile || exit
wait "$synced" && come mv -f -t "$sites" && go "$sites" "$@" || exit 66
