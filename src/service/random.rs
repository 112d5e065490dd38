//! Random bytes and hex.

use std::fmt::Write as _;

/// `N` bytes from the system.
pub fn bytes<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

/// `2 * N` lower-case hex digits.
pub fn hex<const N: usize>() -> Result<String, getrandom::Error> {
    Ok(bytes::<N>()?.iter().fold(String::with_capacity(2 * N), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
