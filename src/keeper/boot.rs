//! Which run of this machine this is: process numbers and start times mean something within one only.

use std::fs;

/// The kernel's number of it; `None` where there is no telling.
pub fn boot_id() -> Option<[u8; 16]> {
    parse(&fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?)
}

/// A UUID as it is written.
fn parse(text: &str) -> Option<[u8; 16]> {
    hex::decode(text.trim().replace('-', "")).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_has_a_number_that_stays() {
        assert!(boot_id().is_some_and(|id| id != [0; 16]));
        assert_eq!(boot_id(), boot_id());
        assert_eq!(
            parse("00112233-4455-6677-8899-aabbccddeeff\n"),
            Some([
                0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee,
                0xff
            ])
        );
        for text in ["", "0011", "no number", "00112233-4455-6677-8899-aabbccddeeff00"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
