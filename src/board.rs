//! The board: its file, and its button. Lamp and GPIO lines join here.

pub mod button;
pub mod file;
