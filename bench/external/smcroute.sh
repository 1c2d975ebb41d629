#!/bin/sh
# smcroute as an engine of "umroute bench run":
#   --engine-command smcroute=bench/external/smcroute.sh
# It needs smcrouted and smcroutectl (Debian: apt install smcroute).
set -eu

dir=$(mktemp -d)
daemon=
stop() {
	[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
	rm -rf "$dir"
	exit 0
}
trap stop TERM INT

: >"$dir/conf"
while read -r verb rest; do
	case $verb in
	start)
		smcrouted -n -f "$dir/conf" -P "$dir/pid" -u "$dir/socket" >&2 &
		daemon=$!
		while ! [ -S "$dir/socket" ]; do
			kill -0 "$daemon" || exit 1
			sleep 0.05
		done
		echo ready
		;;
	route)
		set -- $rest
		source=$1 group=$2 input=$3
		shift 3
		echo "add $input $source $group $*" >>"$dir/batch"
		;;
	commit)
		sed 's/^add \([^ ]* [^ ]* [^ ]*\) .*/remove \1/' "$dir/batch" |
			smcroutectl -u "$dir/socket" -b >&2 || true
		smcroutectl -u "$dir/socket" -b <"$dir/batch" >&2
		: >"$dir/batch"
		echo ready
		;;
	esac
done
stop
