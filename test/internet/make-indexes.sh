# Makes an npm registry and a pip index of one small package each, below $SITE. $REGISTRY: where the registry will be, without a slash at the end.
export SITE
mkdir -p /srv/package "$SITE/npm/-" "$SITE/simple/small"
cd /srv/package
printf '{"name":"small","version":"1.0.0","main":"index.js"}' > package.json
printf 'module.exports = "small from npm";\n' > index.js
tar -C /srv -czf "$SITE/npm/-/small-1.0.0.tgz" package
integrity=$(openssl dgst -sha512 -binary "$SITE/npm/-/small-1.0.0.tgz" | base64 -w0)
printf '{"name":"small","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"small","version":"1.0.0","dist":{"tarball":"%s/-/small-1.0.0.tgz","integrity":"sha512-%s"}}}}' \
	"$REGISTRY" "$integrity" > "$SITE/npm/small"

python3 - <<'END'
import hashlib, os, zipfile

files = {
    "small.py": "text = 'small from pip'\n",
    "small-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: small\nVersion: 1.0\n",
    "small-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
}
record = "".join(f"{name},,\n" for name in [*files, "small-1.0.dist-info/RECORD"])
directory = os.environ["SITE"] + "/simple/small/"
path = directory + "small-1.0-py3-none-any.whl"
with zipfile.ZipFile(path, "w") as wheel:
    for name, text in {**files, "small-1.0.dist-info/RECORD": record}.items():
        wheel.writestr(name, text)
digest = hashlib.sha256(open(path, "rb").read()).hexdigest()
with open(directory + "index.html", "w") as index:
    index.write(f'<!DOCTYPE html><a href="small-1.0-py3-none-any.whl#sha256={digest}">small</a>')
END
