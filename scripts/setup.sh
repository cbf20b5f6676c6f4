#!/bin/sh
# Makes a checkout ready to run: system packages, npm packages, build. Quickstart, tests and CI all begin here.
# Everything that is done already is skipped, so running it again costs about a second.
# --tests: also what only the tests and the benchmark need.
set -eu
cd "$(dirname "$0")/.."
# Where Debian keeps mke2fs; an ordinary user's PATH leaves it out.
PATH="$PWD/node_modules/.bin:$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PATH

INSTALLED_LOCK=node_modules/.package-lock.installed.json
NODE=node_modules/.bin/node

for_tests=no
if [ "${1-}" = --tests ]; then for_tests=yes; fi

fail() {
	printf 'set-up failed: %s\n' "$1" >&2
	exit 1
}

has() {
	command -v "$1" >/dev/null 2>&1
}

# Prints "yes" when the Node.js program $1 runs and its version is at least $2.$3.
node_is_at_least() {
	"$1" -e '
		const [major, minor] = process.versions.node.split(".").map(Number);
		const [wantedMajor, wantedMinor] = process.argv.slice(1).map(Number);
		if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) console.log("yes");
	' "$2" "$3" 2>/dev/null || true
}

check_node() {
	has node || fail "Node.js is missing. Install Node.js 20 or newer with npm, then run this again."
	if [ "$(node_is_at_least node 20 0)" != yes ]; then
		fail "Node.js $(node --version) is too old. Install Node.js 20 or newer, then run this again."
	fi
	has npm || fail "npm is missing. It comes with Node.js; on Debian: apt-get install -y npm"
}

# Sets "missing" to the Debian packages of the programs that are not there.
find_missing_packages() {
	missing=
	case "$(uname -m)" in
	x86_64 | amd64) qemu_program=qemu-system-x86_64 qemu_package=qemu-system-x86 ;;
	aarch64 | arm64) qemu_program=qemu-system-aarch64 qemu_package=qemu-system-arm ;;
	*) fail "the processor architecture $(uname -m) is not supported: x86-64 and arm64 are." ;;
	esac
	has "${MSB_QEMU:-$qemu_program}" || missing="$missing $qemu_package"
	has cargo || missing="$missing rustc cargo"
	# The agent is linked statically: a linker and the static C library.
	if ! has cc || [ ! -e "$(cc -print-file-name=libc.a)" ]; then missing="$missing gcc libc6-dev"; fi
	has xz || missing="$missing xz-utils"
	has mke2fs || missing="$missing e2fsprogs"
	has setpriv || missing="$missing util-linux"
	if [ "$for_tests" = yes ]; then find_missing_packages_of_tests; fi
	missing=${missing# }
}

# A second opinion on our EROFS images, disk images in other formats, a real registry, what makes and reads images
# without us, a clock that is wrong, a network of one's own, a browser for the dashboard, and
# real clients of SSH.
find_missing_packages_of_tests() {
	has fsck.erofs || missing="$missing erofs-utils"
	has qemu-img || missing="$missing qemu-utils"
	has docker-registry || missing="$missing docker-registry"
	has skopeo || missing="$missing skopeo"
	has umoci || missing="$missing umoci"
	has mmdebstrap || missing="$missing mmdebstrap"
	has htpasswd || missing="$missing apache2-utils"
	has openssl || missing="$missing openssl"
	has setcap || missing="$missing libcap2-bin"
	has setfattr || missing="$missing attr"
	has faketime || missing="$missing faketime"
	has ip || missing="$missing iproute2"
	has chromium || missing="$missing chromium"
	has ssh || missing="$missing openssh-client"
	has rsync || missing="$missing rsync"
	has git || missing="$missing git"
}

# Runs a chatty command; what it said is shown only when it fails.
quietly() {
	log=$(mktemp)
	if DEBIAN_FRONTEND=noninteractive "$@" >"$log" 2>&1; then
		rm -f "$log"
	else
		cat "$log" >&2
		rm -f "$log"
		fail "\"$*\" did not work, see above."
	fi
}

install_system_packages() {
	find_missing_packages
	[ -n "$missing" ] || return 0
	if ! has apt-get || ! has dpkg-deb; then
		fail "this is no Debian-like system (no apt-get), and the guest is made from Debian packages. Missing here: $missing"
	fi
	line="apt-get update && apt-get install -y --no-install-recommends $missing"
	if [ "$(id -u)" != 0 ]; then
		printf 'Some programs are missing. Run this once, then start again:\n\n  sudo sh -c "%s"\n\n' "$line" >&2
		exit 1
	fi
	printf 'set-up: installing the Debian packages %s\n' "$missing"
	quietly apt-get update
	# The list is meant to be split into words.
	# shellcheck disable=SC2086
	quietly apt-get install -y --no-install-recommends $missing
	find_missing_packages
	[ -z "$missing" ] || fail "after the installation these packages' programs are still missing: $missing"
}

install_npm_packages() {
	if cmp -s package-lock.json "$INSTALLED_LOCK"; then return 0; fi
	printf 'set-up: installing npm packages\n'
	# Warnings name packages that want a newer Node.js than the one that only installs them.
	npm ci --no-audit --no-fund --loglevel=error || fail "npm ci did not work, see above."
	ensure_development_node
	cp package-lock.json "$INSTALLED_LOCK"
}

# The package "node" fetches its program in an install script, which npm may have been told not to run, or leave out by
# itself when the script is not on its list. Then the same script is run from here.
ensure_development_node() {
	if [ "$(node_is_at_least "$NODE" 24 0)" = yes ]; then return 0; fi
	printf 'set-up: fetching the Node.js used for development\n'
	(cd node_modules/node && npm run preinstall --silent) ||
		printf 'set-up: the package "node" could not fetch its program\n' >&2
	[ -e "$NODE" ] || ln -sf ../node/bin/node "$NODE"
}

# Scripts here are TypeScript, which Node.js runs as it is from 22.18 on.
check_development_node() {
	if [ "$(node_is_at_least "$NODE" 24 0)" = yes ]; then return 0; fi
	rm -f "$NODE"
	if [ "$(node_is_at_least node 22 18)" = yes ]; then
		printf 'set-up: node_modules has no Node.js 24, going on with %s from the PATH\n' "$(node --version)" >&2
		return 0
	fi
	rm -f "$INSTALLED_LOCK"
	fail "the npm package \"node\" did not bring Node.js 24, and the one on the PATH is older than 22.18.
Allow its install script (npm config set ignore-scripts false) and run this again, or install Node.js 24."
}

check_node
install_system_packages
install_npm_packages
check_development_node
# The shell remembers where it found "node" before npm put another one first on the PATH.
hash -r
node scripts/build.ts
