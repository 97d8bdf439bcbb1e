//! What a sample says: its median, minimum and maximum.

/// Of one contestant's values, one for each round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Stats {
    /// None of an empty sample.
    pub fn of(sample: &[f64]) -> Option<Self> {
        let mut sorted = sample.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        Some(Self { median, min, max })
    }
}

/// The percentile of the sample, by nearest rank. Sorts the sample.
///
/// # Panics
///
/// If the sample is empty.
pub fn percentile<T: Ord + Copy>(sample: &mut [T], percent: u32) -> T {
    sample.sort_unstable();
    let rank = (sample.len() * percent as usize).div_ceil(100);
    sample[rank.max(1) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sample() {
        let mut sample: Vec<u32> = (1..=200).rev().collect();
        assert_eq!([0, 1, 50, 99, 100].map(|percent| percentile(&mut sample, percent)), [1, 2, 100, 198, 200]);
        assert_eq!(percentile(&mut [7], 99), 7);
    }

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(Stats::of(&[]), None);
    }

    #[test]
    fn one_value_is_all_three() {
        assert_eq!(Stats::of(&[4.0]), Some(Stats { median: 4.0, min: 4.0, max: 4.0 }));
    }

    #[test]
    fn the_middle_of_an_odd_number() {
        assert_eq!(Stats::of(&[30.0, 9.0, 11.0]), Some(Stats { median: 11.0, min: 9.0, max: 30.0 }));
    }

    #[test]
    fn the_middle_between_two_of_an_even_number() {
        assert_eq!(Stats::of(&[4.0, 1.0, 3.0, 2.0]), Some(Stats { median: 2.5, min: 1.0, max: 4.0 }));
    }
}
