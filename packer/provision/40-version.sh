#!/bin/sh
# Writes down what this image is: /etc/pinion-image.json, and a CycloneDX SBOM of every Debian package in it.
set -eu
mkdir -p /usr/share/pinion-image
# shellcheck disable=SC2016 # dpkg-query's own fields
dpkg-query -W -f '${db:Status-Status}\t${Package}\t${Version}\t${Architecture}\t${Maintainer}\n' | python3 -c '
import datetime, glob, json, os, sys, urllib.parse

now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
packages = [line.rstrip("\n").split("\t")[1:] for line in sys.stdin if line.startswith("installed\t")]
kernels = sorted(os.path.basename(path).removeprefix("vmlinuz-") for path in glob.glob("/boot/vmlinuz-*"))
release = dict(line.rstrip().replace("\"", "").split("=", 1) for line in open("/etc/os-release") if "=" in line)
distribution = release["ID"] + "-" + release["VERSION_ID"]

def component(name, version, architecture, maintainer):
    # purl-spec, type deb: the namespace is the vendor.
    vendor = "pinion" if name == "pinion-agent" else "amazon" if "Amazon.com" in maintainer else release["ID"]
    quoted = [urllib.parse.quote(part, safe="") for part in (name, version)]
    purl = f"pkg:deb/{vendor}/{quoted[0]}@{quoted[1]}?arch={architecture}&distro={distribution}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}

image = {
    "pinion": os.environ["PINION_VERSION"],
    "commit": os.environ["PINION_COMMIT"],
    "sourceAmi": os.environ["SOURCE_AMI"],
    "bakedAt": now,
    "os": release["PRETTY_NAME"],
    "kernels": kernels,
    "packages": len(packages),
}
sbom = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "version": 1,
    "metadata": {"timestamp": now, "component": {"type": "operating-system", "bom-ref": "image", "name": "pinion-image", "version": image["pinion"]}},
    "components": [component(*package) for package in packages],
}
for path, document in (("/etc/pinion-image.json", image), ("/usr/share/pinion-image/sbom.cdx.json", sbom)):
    with open(path, "w") as file:
        json.dump(document, file, indent=2)
        file.write("\n")
print(json.dumps(image))
if not kernels:
    print("no kernel here: pinion-image.json names none")
'
