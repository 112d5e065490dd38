SUMMARY = "What a kiosk has besides a base system"
DESCRIPTION = "The kiosk's programs, a font with Chinese characters, certificates, and the drivers of USB cameras and sound cards."

# The modules are the machine's.
PACKAGE_ARCH = "${MACHINE_ARCH}"

inherit packagegroup features_check

REQUIRED_DISTRO_FEATURES = "systemd"

RDEPENDS:${PN} = "\
    ca-certificates \
    rtcroom-kiosk \
    source-han-sans-cn-fonts \
"

# Recommended: many kernels have them built in.
RRECOMMENDS:${PN} = "\
    kernel-module-snd-usb-audio \
    kernel-module-uvcvideo \
"
