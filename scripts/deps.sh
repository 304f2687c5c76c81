#!/bin/sh
# Installs the servers that the tests start, where they are missing: make deps. It touches nothing
# else, and does nothing at all where everything is there.
#
# On a terminal it asks first; with CI set, or without a terminal, it does not. A server that the
# package starts as a system service does not disturb the tests, which use free ports and servers of
# their own.
set -eu

# One line a server: the command that the tests run, its Debian package, its Homebrew formula.
servers='
redis-server redis-server redis
postgres postgresql postgresql@17
'

# have NAME: the command is there, be it where a package of PostgreSQL puts it beside the PATH.
have() {
	command -v "$1" >/dev/null 2>&1 && return
	for file in /usr/lib/postgresql/*/bin/"$1" /opt/homebrew/opt/postgresql@*/bin/"$1" /usr/local/opt/postgresql@*/bin/"$1"; do
		[ -x "$file" ] && return
	done
	return 1
}

missing='' debs='' formulas=''
while read -r command deb formula; do
	[ -n "$command" ] || continue
	have "$command" && continue
	missing="$missing $command" debs="$debs $deb" formulas="$formulas $formula"
done <<END
$servers
END
[ -n "$missing" ] || exit 0

# The manual command is what this script runs, so that a person can run it instead.
terminal=no
[ -t 0 ] && [ -t 2 ] && [ -z "${CI:-}" ] && terminal=yes
sudo=''
if [ "$(id -u)" -ne 0 ] && command -v sudo >/dev/null 2>&1; then
	sudo='sudo'
	[ $terminal = yes ] || sudo='sudo -n' # fails where it would ask for a password
fi
if command -v apt-get >/dev/null 2>&1; then
	manual="${sudo:+sudo }apt-get update && ${sudo:+sudo }apt-get install$debs"
elif command -v brew >/dev/null 2>&1; then
	manual="brew install$formulas"
else
	echo "deps: the tests need$missing, and neither apt-get nor brew is here: install by hand, or run make short" >&2
	exit 1
fi

give_up() {
	echo "deps: $1; by hand: $manual (make short needs no servers)" >&2
	exit 1
}

echo "deps: installing what the tests need:${manual##*install}" >&2
if [ $terminal = yes ]; then
	printf 'deps: go ahead? [Y/n] ' >&2
	read -r answer || answer=n
	case $answer in
	'' | [yY]*) ;;
	*) give_up 'nothing was installed' ;;
	esac
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT

apt() {
	# shellcheck disable=SC2086 # words on purpose
	$sudo env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1 </dev/null
}

# shellcheck disable=SC2086 # words on purpose
case $manual in
brew*)
	HOMEBREW_NO_AUTO_UPDATE=1 brew install $formulas >"$log" 2>&1 </dev/null || failed=yes
	;;
*)
	# The package lists are fetched only where they are missing or too old to install from.
	apt install --no-install-recommends $debs || { apt update && apt install --no-install-recommends $debs; } || failed=yes
	;;
esac
if [ "${failed:-no}" = yes ]; then
	tail -n 20 "$log" >&2
	give_up 'the installation failed'
fi

for command in $missing; do
	have "$command" || give_up "$command is still not found"
done
