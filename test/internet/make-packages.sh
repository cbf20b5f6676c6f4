# Makes a Debian repository of one small package, and a git repository, below /srv.
mkdir -p /srv/www/debian /srv/git
cd /srv

mkdir -p deb/DEBIAN deb/usr/bin
printf 'Package: small\nVersion: 1.0\nArchitecture: all\nMaintainer: tests <tests@example.com>\nDescription: small\n' > deb/DEBIAN/control
printf '#!/bin/sh\necho "small from apt"\n' > deb/usr/bin/small-deb
chmod 755 deb/usr/bin/small-deb
# Large enough that a download has several segments.
head -c 3000000 /dev/urandom > deb/usr/small-deb.bin
dpkg-deb -Znone --root-owner-group -b deb www/debian/small_1.0_all.deb > /dev/null
cd www/debian
{
	cat /srv/deb/DEBIAN/control
	printf 'Filename: ./small_1.0_all.deb\nSize: %s\nSHA256: %s\n' \
		"$(stat -c %s small_1.0_all.deb)" "$(sha256sum small_1.0_all.deb | cut -d' ' -f1)"
} > Packages

export HOME=/srv GIT_CONFIG_NOSYSTEM=1
git config --global user.name tests
git config --global user.email tests@example.com
git config --global --add safe.directory '*'
git init -q -b main --bare /srv/git/repository.git
git -C /srv/git/repository.git config http.receivepack true
git clone -q /srv/git/repository.git /srv/first 2> /dev/null
cd /srv/first
git checkout -q -b main
for each in 1 2 3 4 5 6 7 8; do head -c 300000 /dev/urandom > "file$each"; done
echo "from the server" > README
git add .
git commit -qm first
git push -q origin main
