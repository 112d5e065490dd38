SUMMARY = "An image that boots into the kiosk"
DESCRIPTION = "Boots to kioskd. The site's kioskd.toml and ticket come by a .bbappend or are written when the board is set up."
HOMEPAGE = "https://example.invalid/rtcroom-kiosk"
LICENSE = "MIT"

inherit core-image features_check

REQUIRED_DISTRO_FEATURES = "systemd"

IMAGE_INSTALL:append = " packagegroup-rtcroom-kiosk"
