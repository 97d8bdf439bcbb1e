//! Numbers on the command line. Each tool has its own options.

use std::fmt::Display;
use std::ops::RangeInclusive;

use lexopt::{Error, Parser};

/// The value of `option`: a whole number within `range`, also written as 1e6 or 1_000_000.
///
/// # Errors
///
/// The value is missing, or not such a number; the error names the option and the range.
pub fn number(parser: &mut Parser, option: impl Display, range: RangeInclusive<u64>) -> Result<u64, Error> {
    let value = parser.value()?;
    let number = value.to_str().and_then(whole).filter(|number| range.contains(number));
    number.ok_or_else(|| {
        format!("{option} takes a whole number from {} to {}, not {value:?}", range.start(), range.end()).into()
    })
}

fn whole(value: &str) -> Option<u64> {
    if value.starts_with('+') {
        return None;
    }
    let (digits, zeros) = match value.split_once(['e', 'E']) {
        Some((digits, zeros)) => (digits, zeros.parse().ok()?),
        None => (value, 0),
    };
    let digits: u64 = digits.replace('_', "").parse().ok()?;
    digits.checked_mul(10_u64.checked_pow(zeros)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> Result<u64, String> {
        number(&mut Parser::from_args([value]), "--tasks", 1..=10_000_000).map_err(|error| error.to_string())
    }

    #[test]
    fn large_numbers_have_short_forms() {
        assert_eq!(["7", "1e6", "1_000"].map(parsed), [Ok(7), Ok(1_000_000), Ok(1000)]);
    }

    #[test]
    fn anything_else_is_refused_with_the_range() {
        for value in ["0", "-1", "1.5", "many", "1e99", "", "1e-3", "+5", "10000001"] {
            assert_eq!(
                parsed(value),
                Err(format!("--tasks takes a whole number from 1 to 10000000, not {value:?}")),
                "{value}"
            );
        }
    }
}
