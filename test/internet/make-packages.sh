# Makes a Debian repository, an npm registry and a pip index of one small package each, and a git repository, below /srv.
mkdir -p /srv/www/debian /srv/www/npm/-/ /srv/www/simple/small /srv/git
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

mkdir -p /srv/package
cd /srv/package
printf '{"name":"small","version":"1.0.0","main":"index.js"}' > package.json
printf 'module.exports = "small from npm";\n' > index.js
tar -C /srv -czf /srv/www/npm/-/small-1.0.0.tgz package
integrity=$(openssl dgst -sha512 -binary /srv/www/npm/-/small-1.0.0.tgz | base64 -w0)
printf '{"name":"small","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"small","version":"1.0.0","dist":{"tarball":"http://registry.example.com/npm/-/small-1.0.0.tgz","integrity":"sha512-%s"}}}}' \
	"$integrity" > /srv/www/npm/small

python3 - <<'END'
import hashlib, zipfile

files = {
    "small.py": "text = 'small from pip'\n",
    "small-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: small\nVersion: 1.0\n",
    "small-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
record = "".join(f"{name},,\n" for name in [*files, "small-1.0.dist-info/RECORD"])
path = "/srv/www/simple/small/small-1.0-py3-none-any.whl"
with zipfile.ZipFile(path, "w") as wheel:
    for name, text in {**files, "small-1.0.dist-info/RECORD": record}.items():
        wheel.writestr(name, text)
digest = hashlib.sha256(open(path, "rb").read()).hexdigest()
with open("/srv/www/simple/small/index.html", "w") as index:
    index.write(f'<!DOCTYPE html><a href="small-1.0-py3-none-any.whl#sha256={digest}">small</a>')
END

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
