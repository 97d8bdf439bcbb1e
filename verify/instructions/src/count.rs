//! A number of instructions, in tenths: what is compared is what is printed.

use std::fmt;
use std::str::FromStr;

/// Instructions that an operation takes on average.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Count {
    tenths: u64,
}

impl Count {
    /// So many `instructions` in so many `operations`, rounded.
    pub(crate) fn average(instructions: u64, operations: u64) -> Self {
        Self { tenths: (10 * instructions + operations / 2) / operations }
    }

    pub(crate) fn as_f64(self) -> f64 {
        self.tenths as f64 / 10.0
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}", self.tenths / 10, self.tenths % 10))
    }
}

impl FromStr for Count {
    type Err = ();

    /// Takes what `Display` writes: digits, a point, a digit.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (whole, tenth) = text.split_once('.').ok_or(())?;
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(whole) || !is_number(tenth) || tenth.len() != 1 {
            return Err(());
        }
        let tenths = format!("{whole}{tenth}").parse().map_err(drop)?;
        Ok(Self { tenths })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_rounded_to_tenths() {
        assert_eq!(Count::average(308_000, 2_000).to_string(), "154.0");
        assert_eq!(Count::average(100, 2_000).to_string(), "0.1");
        assert_eq!(Count::average(99, 2_000).to_string(), "0.0");
    }

    #[test]
    fn what_is_written_is_read() {
        for text in ["0.0", "0.1", "17.0", "123456.9"] {
            assert_eq!(text.parse::<Count>().unwrap().to_string(), text);
        }
        for text in ["", ".", "1", "1.", ".1", "1.23", "-1.0", "+1.0", "1.x", "1,0", "99999999999999999999.0"] {
            assert!(text.parse::<Count>().is_err(), "{text}");
        }
    }
}
