SUMMARY = "Video-call kiosk with one button"
SUMMARY:${PN}-boards = "Board files of the video-call kiosk"
SUMMARY:${PN}-roomservice = "RoomService: rooms, media relay and the clerk's page for video-call kiosks"
DESCRIPTION = "A customer presses the button and is face to face with a clerk in front of a browser. kioskd supervises, \
kiosk-media handles camera, sound, screen and WebRTC; roomservice is the server with rooms, media relay and the clerk's page."
HOMEPAGE = "https://example.invalid/rtcroom-kiosk"
SECTION = "multimedia"
# MPL-2.0 is the crate gst-plugin-rtp, linked statically and unchanged.
LICENSE = "(MIT | Apache-2.0) & MPL-2.0"
LIC_FILES_CHKSUM = "file://LICENSE-MIT;md5=799f96c64b79ab8058e5680fddc1914f \
                    file://LICENSE-APACHE;md5=3b83ef96387f14655fc854ddc3c6bd57"

DEPENDS = "alsa-lib clang-native glib-2.0 gstreamer1.0 gstreamer1.0-plugins-bad gstreamer1.0-plugins-base"

# Where the sources are is for the integrator to say, here or with externalsrc: see the layer's README.md.
RTCROOM_KIOSK_GIT ?= "git://example.invalid/rtcroom-kiosk;protocol=https;branch=main"
SRC_URI = "${RTCROOM_KIOSK_GIT}"
SRCREV = "f12b4053b241a0c93e6ac46b5a13fef595f7833f"

inherit cargo cargo-update-recipe-crates features_check pkgconfig systemd useradd

require ${BPN}-crates.inc

REQUIRED_DISTRO_FEATURES = "systemd"

PACKAGECONFIG ??= "roomservice"
PACKAGECONFIG[roomservice] = "--features roomservice,,openssl"

CARGO_BUILD_FLAGS:append = " --no-default-features --features kiosk ${PACKAGECONFIG_CONFARGS}"
# The symbols go to the -dbg package.
export CARGO_PROFILE_RELEASE_STRIP = "none"

# The v4l crate makes its bindings of linux/videodev2.h while it is built, with bindgen 0.65. With clang 22 that makes
# some headers' structures opaque (rust-lang/rust-bindgen#3264); of this one it makes the same as with clang 14, which
# was tried with libclang 22.1.4 for both ARMs. Not ${HOST_CC_ARCH}: clang refuses some of
# gcc's -mcpu, cortex-a76.cortex-a55 among them, and the structures depend on none. On 32-bit ARM glibc's headers do ask
# for the float ABI.
BINDGEN_FLOAT = "${@bb.utils.contains('TUNE_FEATURES', 'callconvention-hard', '-mfloat-abi=hard', '', d)}"
export LIBCLANG_PATH = "${STAGING_LIBDIR_NATIVE}"
export BINDGEN_EXTRA_CLANG_ARGS = "--target=${TARGET_SYS} --sysroot=${STAGING_DIR_HOST} ${BINDGEN_FLOAT}"

PACKAGE_BEFORE_PN = "${PN}-boards ${PN}-roomservice"

SYSTEMD_PACKAGES = "${PN} ${@bb.utils.contains('PACKAGECONFIG', 'roomservice', '${PN}-roomservice', '', d)}"
# kiosk-media@.service is started by its socket, kioskd-reboot.service by its path.
SYSTEMD_SERVICE:${PN} = "kiosk-media.socket kioskd-reboot.path kioskd.service"
SYSTEMD_SERVICE:${PN}-roomservice = "roomservice.service"

# The same as systemd/sysusers.d, for images whose /etc cannot be written.
USERADD_PACKAGES = "${PN} ${PN}-roomservice"
GROUPADD_PARAM:${PN} = "--system gpio; --system video; --system audio; --system render"
USERADD_PARAM:${PN} = "\
    --system --no-create-home --home-dir / --shell ${base_sbindir}/nologin --user-group --groups gpio kioskd; \
    --system --no-create-home --home-dir / --shell ${base_sbindir}/nologin --user-group --groups video,audio,render kiosk-media \
"
USERADD_PARAM:${PN}-roomservice = "\
    --system --no-create-home --home-dir / --shell ${base_sbindir}/nologin --user-group roomservice \
"

do_install() {
    install -d ${D}${bindir} ${D}${systemd_system_unitdir} ${D}${nonarch_libdir}/sysusers.d ${D}${nonarch_libdir}/tmpfiles.d
    install -d ${D}${nonarch_base_libdir}/udev/rules.d ${D}${datadir}/${BPN}/boards ${D}${docdir}/${BPN}/examples

    install -m 0755 ${B}/target/${CARGO_TARGET_SUBDIR}/kioskd ${B}/target/${CARGO_TARGET_SUBDIR}/kiosk-media ${D}${bindir}
    install -m 0644 ${S}/systemd/kiosk*.service ${S}/systemd/kiosk*.socket ${S}/systemd/kiosk*.path ${D}${systemd_system_unitdir}
    install -m 0644 ${S}/systemd/sysusers.d/rtcroom-kiosk.conf ${D}${nonarch_libdir}/sysusers.d
    install -m 0644 ${S}/systemd/tmpfiles.d/rtcroom-kiosk.conf ${D}${nonarch_libdir}/tmpfiles.d
    install -m 0644 ${S}/systemd/udev/*.rules ${D}${nonarch_base_libdir}/udev/rules.d
    install -m 0644 ${S}/boards/*.toml ${D}${datadir}/${BPN}/boards
    install -m 0644 ${S}/systemd/examples/*.conf ${D}${docdir}/${BPN}/examples
    install -m 0644 ${S}/README.md ${D}${docdir}/${BPN}
    # As systemd/tmpfiles.d has it: here for the site's kioskd.toml.
    install -d -m 0750 -g kioskd ${D}${sysconfdir}/${BPN}

    if ${@bb.utils.contains('PACKAGECONFIG', 'roomservice', 'true', 'false', d)}; then
        install -m 0755 ${B}/target/${CARGO_TARGET_SUBDIR}/roomservice ${D}${bindir}
        install -m 0644 ${S}/systemd/roomservice.service ${D}${systemd_system_unitdir}
        install -m 0644 ${S}/systemd/sysusers.d/rtcroom-roomservice.conf ${D}${nonarch_libdir}/sysusers.d
        install -m 0644 ${S}/systemd/tmpfiles.d/rtcroom-roomservice.conf ${D}${nonarch_libdir}/tmpfiles.d
        install -d -m 0750 -g roomservice ${D}${sysconfdir}/roomservice
    fi
}

FILES:${PN}-boards += "${datadir}/${BPN}/boards"
FILES:${PN}-roomservice += "\
    ${bindir}/roomservice \
    ${nonarch_libdir}/sysusers.d/rtcroom-roomservice.conf \
    ${nonarch_libdir}/tmpfiles.d/rtcroom-roomservice.conf \
    ${sysconfdir}/roomservice \
    ${systemd_system_unitdir}/roomservice.service \
"
FILES:${PN} += "\
    ${nonarch_base_libdir}/udev/rules.d \
    ${nonarch_libdir}/sysusers.d \
    ${nonarch_libdir}/tmpfiles.d \
    ${systemd_system_unitdir} \
"

CONFFILES:${PN} = "${sysconfdir}/${BPN}/kioskd.toml"
CONFFILES:${PN}-roomservice = "${sysconfdir}/roomservice/roomservice.toml"

# kiosk-media loads these plugins by file, and no registry finds others.
RDEPENDS:${PN} = "\
    gstreamer1.0 \
    gstreamer1.0-plugins-bad-dtls \
    gstreamer1.0-plugins-bad-fbdevsink \
    gstreamer1.0-plugins-bad-kms \
    gstreamer1.0-plugins-bad-openh264 \
    gstreamer1.0-plugins-bad-srtp \
    gstreamer1.0-plugins-bad-videoparsersbad \
    gstreamer1.0-plugins-bad-webrtc \
    gstreamer1.0-plugins-bad-webrtcdsp \
    gstreamer1.0-plugins-base-alsa \
    gstreamer1.0-plugins-base-app \
    gstreamer1.0-plugins-base-audioconvert \
    gstreamer1.0-plugins-base-audiomixer \
    gstreamer1.0-plugins-base-audioresample \
    gstreamer1.0-plugins-base-audiotestsrc \
    gstreamer1.0-plugins-base-opus \
    gstreamer1.0-plugins-base-pango \
    gstreamer1.0-plugins-base-videoconvertscale \
    gstreamer1.0-plugins-base-videorate \
    gstreamer1.0-plugins-good-jpeg \
    gstreamer1.0-plugins-good-png \
    gstreamer1.0-plugins-good-rtp \
    gstreamer1.0-plugins-good-rtpmanager \
    gstreamer1.0-plugins-good-video4linux2 \
    gstreamer1.0-plugins-good-videocrop \
    gstreamer1.0-plugins-good-videofilter \
    libnice \
"
# What the distribution or the machine may be without; the board file says which screen and which codec.
RRECOMMENDS:${PN} = "\
    ${PN}-boards \
    ca-certificates \
    gstreamer1.0-plugins-bad-v4l2codecs \
    gstreamer1.0-plugins-bad-va \
    gstreamer1.0-plugins-bad-waylandsink \
    gstreamer1.0-plugins-base-opengl \
    gstreamer1.0-plugins-base-ximagesink \
    gstreamer1.0-plugins-base-xvimagesink \
"
