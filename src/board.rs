//! The board: its file, its button, its lamp and its door switch.

pub mod button;
pub mod file;
pub mod lamp;
pub mod line;
pub mod tamper;
