"""Reads the Yocto layer with bitbake's own parser and checks what only expansion shows.

The parser comes from the wheel of bitbake-setup. openembedded-core is not there: its classes are empty here, and the
variables of bitbake.conf are the few that the recipes use, so this sees syntax, overrides, expansion and misspelt
classes, but no task and no dependency of others.
"""

import logging
import pathlib
import sys
import tempfile
import types
from unittest import mock

for name in ("hashserv", "hashserv.client", "prserv", "prserv.serv"):
    sys.modules[name] = mock.MagicMock(spec=types.ModuleType(name), __path__=[])

import bb.data
import bb.fetch2
import bb.parse
import bb.siggen
import bb.utils

LAYER = pathlib.Path(__file__).resolve().parents[2] / "yocto/meta-rtcroom-kiosk"

# oe-core's meta/classes-recipe and meta/classes-global, those that the recipes inherit.
CLASSES = "base cargo cargo-update-recipe-crates core-image features_check packagegroup pkgconfig systemd useradd"

# oe-core's meta/conf/bitbake.conf, what the recipes use of it.
BITBAKE_CONF = r"""
FILE_DIRNAME = "${@os.path.dirname(d.getVar('FILE', False))}"
BPN = "${PN}"
PN = "${@bb.parse.vars_from_file(d.getVar('FILE', False), d)[0]}"
PV = "${@bb.parse.vars_from_file(d.getVar('FILE', False), d)[1] or '1.0'}"
OVERRIDES = "linux:${TARGET_ARCH}:pn-${PN}:${MACHINE}:${DISTRO}:forcevariable"
TARGET_SYS = "${TARGET_ARCH}-oe-linux"
S = "/S"
B = "/B"
D = "/D"
CARGO_TARGET_SUBDIR = "target/release"
STAGING_DIR_HOST = "/sysroot"
STAGING_LIBDIR_NATIVE = "/sysroot-native/usr/lib"
base_sbindir = "/usr/sbin"
bindir = "/usr/bin"
datadir = "/usr/share"
docdir = "/usr/share/doc"
nonarch_base_libdir = "/usr/lib"
nonarch_libdir = "/usr/lib"
sysconfdir = "/etc"
systemd_system_unitdir = "/usr/lib/systemd/system"
PACKAGECONFIG_CONFARGS = "--features roomservice"
CARGO_BUILD_FLAGS = "--frozen"
MACHINE_ARCH = "${MACHINE}"
DISTRO_FEATURES = "systemd"
"""


def layer(build: pathlib.Path, arch: str, tune: str):
    """What bitbake knows once it has read bitbake.conf, the layer and its distribution."""
    for name in CLASSES.split():
        (build / "classes" / f"{name}.bbclass").parent.mkdir(exist_ok=True)
        (build / "classes" / f"{name}.bbclass").touch()
    (build / "conf").mkdir(exist_ok=True)
    (build / "conf/bitbake.conf").write_text(BITBAKE_CONF)
    d = bb.data.init()
    for name, value in {
        "TOPDIR": str(build), "BBPATH": str(build), "LAYERDIR": str(LAYER), "BB_HASHSERVE": "",
        "TARGET_ARCH": arch, "TUNE_FEATURES": tune, "MACHINE": "board", "BB_SIGNATURE_HANDLER": "noop",
        "__bbclasstype": "recipe",
    }.items():
        d.setVar(name, value)
    bb.parse.siggen = bb.siggen.init(d)
    d = bb.parse.handle("conf/bitbake.conf", d, True)
    d = bb.parse.handle(str(LAYER / "conf/layer.conf"), d, True)
    d.expandVarref("LAYERDIR")
    return bb.parse.handle(str(LAYER / "conf/distro/rtcroomos.conf"), d, True)


def recipe(d, path: pathlib.Path):
    """A recipe's variables, expanded as a build would."""
    return bb.parse.handle(str(path), d.createCopy())[""]


def words(d, name: str) -> list[str]:
    """A variable's words."""
    return (d.getVar(name) or "").split()


def expect(found, wanted) -> None:
    """Ends with both when they differ."""
    assert found == wanted, f"found {found}, expected {wanted}"


def packageconfig(d, name: str, given: str) -> list[str]:
    """What the distribution makes of another recipe's PACKAGECONFIG."""
    path = pathlib.Path(d.getVar("TOPDIR")) / f"{name}_1.bb"
    path.write_text(f'PACKAGECONFIG ??= "{given}"\n')
    return words(recipe(d, path), "PACKAGECONFIG")


def check(arch: str, tune: str) -> int:
    """Reads everything for one architecture; the number of sources."""
    with tempfile.TemporaryDirectory() as build:
        d = layer(pathlib.Path(build), arch, tune)
        expect(words(d, "LAYERSERIES_COMPAT_rtcroom-kiosk"), ["wrynose"])
        expect(words(d, "LAYERDEPENDS_rtcroom-kiosk"), ["core", "openembedded-layer", "multimedia-layer"])

        globs = words(d, "BBFILES")
        found = sorted(path for glob in globs for path in LAYER.glob(str(pathlib.Path(glob).relative_to(LAYER))))
        assert sorted(LAYER.rglob("*.bb")) == found, f"recipes that BBFILES does not name, or the reverse: {found}"
        recipes = {d.getVar("PN"): d for d in (recipe(d, path) for path in found)}
        assert d.getVar("DISTRO") not in recipes, "a distribution must not be named like a recipe: pn-overrides"

        kiosk = recipes["rtcroom-kiosk"]
        sources = words(kiosk, "SRC_URI")
        git, crates = sources[0], sources[1:]
        kind, host, *_ = bb.fetch2.decodeurl(git)
        assert kind == "git" and host, git
        assert len(kiosk.getVar("SRCREV")) == 40, "offline, only a fixed hash can be parsed"
        for crate in crates:
            kind, *_, parameters = bb.fetch2.decodeurl(crate)
            assert kind == "crate", crate
            checksum = kiosk.getVarFlag("SRC_URI", f"{parameters['name']}.sha256sum")
            assert checksum and len(checksum) == 64, f"{crate} has no checksum"

        float_abi = ["-mfloat-abi=hard"] if "callconvention-hard" in tune else []
        clang = [f"--target={arch}-oe-linux", "--sysroot=/sysroot", *float_abi]
        expect(words(kiosk, "BINDGEN_EXTRA_CLANG_ARGS"), clang)
        assert kiosk.getVarFlag("BINDGEN_EXTRA_CLANG_ARGS", "export")
        features = ["--no-default-features", "--features", "kiosk", "--features", "roomservice"]
        expect(words(kiosk, "CARGO_BUILD_FLAGS")[1:], features)

        own = {"rtcroom-kiosk", "rtcroom-kiosk-boards", "rtcroom-kiosk-roomservice"}
        expect(set(words(kiosk, "PACKAGE_BEFORE_PN")) | {"rtcroom-kiosk"}, own)
        assert set(words(kiosk, "SYSTEMD_PACKAGES")) | set(words(kiosk, "USERADD_PACKAGES")) <= own
        kiosk.setVar("PACKAGECONFIG", "")
        expect(words(kiosk, "SYSTEMD_PACKAGES"), ["rtcroom-kiosk"])

        group = recipes["packagegroup-rtcroom-kiosk"]
        assert "rtcroom-kiosk" in words(group, "RDEPENDS:packagegroup-rtcroom-kiosk")
        assert "packagegroup-rtcroom-kiosk" in words(recipes["rtcroom-kiosk-image"], "IMAGE_INSTALL")
        for name, other in recipes.items():
            assert "systemd" in words(other, "REQUIRED_DISTRO_FEATURES"), name
            assert bb.data.inherits_class("features_check", other), name

        bad = packageconfig(d, "gstreamer1.0-plugins-bad", "dtls")
        assert {"dtls", "webrtc", "srtp", "openh264"} <= set(bad), bad
        assert ("va" in bad) == (arch == "x86-64"), bad
        expect(packageconfig(d, "gstreamer1.0-plugins-base", "alsa"), ["alsa", "opus"])
        expect(packageconfig(d, "libnice", "gnutls"), ["gnutls", "gstreamer"])
        # Nobody else's recipe is touched.
        expect(packageconfig(d, "systemd", "seccomp"), ["seccomp"])
        return len(sources)


def main() -> None:
    problems = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: problems.append(record.getMessage())
    logging.getLogger("BitBake").addHandler(handler)
    for arch, tune in (("aarch64", "aarch64"), ("arm", "armv7ve neon callconvention-hard"), ("x86-64", "m64")):
        print(f"{arch}: {check(arch, tune)} sources")
    assert not problems, problems


main()
