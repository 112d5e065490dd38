//! Looks into H.264 just far enough to tell a frame that stands alone from one that refers to others. Buffer flags do
//! not tell: they are what the driver says.

/// Whether the first slice of an access unit (byte stream) is an I slice: ITU-T H.264, 7.3.1 to 7.3.3.
#[must_use]
pub fn is_intra(unit: &[u8]) -> bool {
    let mut rest = unit;
    while let Some(start) = rest.windows(3).position(|bytes| bytes == [0, 0, 1]) {
        rest = &rest[start + 3..];
        let Some((header, body)) = rest.split_first() else { return false };
        match header & 0x1f {
            5 => return true,
            1 => {
                let mut bits = Bits { bytes: body, at: 0 };
                let (Some(_first_macroblock), Some(kind)) = (bits.number(), bits.number()) else {
                    return false;
                };
                // 2 and 7 are I, 4 and 9 SI: table 7-6.
                return matches!(kind % 5, 2 | 4);
            }
            _ => {}
        }
    }
    false
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<u32> {
        let byte = self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit.into())
    }

    /// An unsigned Exp-Golomb number: 9.1.
    fn number(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let mut value = 1u32;
        for _ in 0..zeros {
            value = value << 1 | self.bit()?;
        }
        Some(value - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idr_and_i_slices_stand_alone_and_p_slices_do_not() {
        // SPS, PPS, then IDR.
        let idr = [0, 0, 0, 1, 0x67, 0x42, 0, 0, 1, 0x68, 0xce, 0, 0, 1, 0x65, 0xb8];
        assert!(is_intra(&idr));
        // first_mb_in_slice 0 is `1`, slice_type 7 is `0001000`: 1000 1000.
        assert!(is_intra(&[0, 0, 0, 1, 0x41, 0x88]));
        // slice_type 5 (P) is `00110`: 1001 10..
        assert!(!is_intra(&[0, 0, 0, 1, 0x41, 0x98]));
        // slice_type 0 (P) is `1`: 11..
        assert!(!is_intra(&[0, 0, 1, 0x41, 0xc0]));
    }

    #[test]
    fn what_is_cut_short_or_empty_is_no_key_frame() {
        for junk in [&[][..], &[0, 0, 1], &[0, 0, 1, 0x41], &[0, 0, 1, 0x41, 0], &[1, 2, 3, 4, 5, 6]] {
            assert!(!is_intra(junk));
        }
    }
}
