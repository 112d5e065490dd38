//! The board: button, lamp, camera and sound discovery.
