//! `kioskd.toml` and the board file.
