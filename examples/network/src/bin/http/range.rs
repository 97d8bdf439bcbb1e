//! Parses ranges of bytes (RFC 9110, section 14). Reads no file.

use std::ops::Range;

/// The meaning of a `Range` header for a file of some length.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The whole file: there is no range, or none that a server must honour.
    Whole,
    Part(Range<u64>),
    /// A range outside of the file.
    Nothing,
}

/// The range that `header` requests of a file of `length` bytes. Several ranges, or an invalid one, are answered with the whole
/// file, as the RFC allows.
pub(crate) fn asked(header: Option<&str>, length: u64) -> Asked {
    header.and_then(|header| part(header, length)).unwrap_or(Asked::Whole)
}

fn part(header: &str, length: u64) -> Option<Asked> {
    let (unit, range) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let part = match (first, last) {
        ("", last) => {
            let (length, last) = (length, number(last)?);
            length.saturating_sub(last)..length
        }
        (first, "") => number(first)?..length,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return None;
            }
            first..last.saturating_add(1).min(length)
        }
    };
    Some(if part.is_empty() { Asked::Nothing } else { Asked::Part(part) })
}

/// Digits only: no sign, no space. A number that is too large counts as the largest.
fn number(digits: &str) -> Option<u64> {
    let digits_only = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits_only.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let of_ten = |header| asked(Some(header), 10);
        assert_eq!(asked(None, 10), Asked::Whole);
        assert_eq!(of_ten("bytes=0-9"), Asked::Part(0..10));
        assert_eq!(of_ten("bytes=0-0"), Asked::Part(0..1));
        assert_eq!(of_ten("Bytes=3-"), Asked::Part(3..10));
        assert_eq!(of_ten("bytes=3-99"), Asked::Part(3..10));
        assert_eq!(of_ten("bytes=3-99999999999999999999999"), Asked::Part(3..10));
        assert_eq!(of_ten("bytes=-4"), Asked::Part(6..10));
        assert_eq!(of_ten("bytes=-40"), Asked::Part(0..10));
    }

    #[test]
    fn parts_that_are_not_there() {
        assert_eq!(asked(Some("bytes=10-"), 10), Asked::Nothing);
        assert_eq!(asked(Some("bytes=10-20"), 10), Asked::Nothing);
        assert_eq!(asked(Some("bytes=18446744073709551615-"), 10), Asked::Nothing);
        assert_eq!(asked(Some("bytes=-0"), 10), Asked::Nothing);
        assert_eq!(asked(Some("bytes=0-0"), 0), Asked::Nothing);
        assert_eq!(asked(Some("bytes=-5"), 0), Asked::Nothing);
    }

    #[test]
    fn what_is_no_single_range_is_ignored() {
        for header in
            ["", "bytes", "bytes=", "bytes=-", "bytes=9-3", "bytes=a-b", "bytes=+1-2", "bytes=1 -2", "lines=1-2"]
        {
            assert_eq!(asked(Some(header), 10), Asked::Whole, "{header:?}");
        }
        assert_eq!(asked(Some("bytes=0-1,4-5"), 10), Asked::Whole);
    }
}
