//! Counts lines, words and bytes, block by block. Reads nothing.

use std::ops::AddAssign;

/// How many bytes are examined together: the compiler makes vector instructions of them.
const LANES: usize = 32;

/// How many rows of `LANES` bytes are counted before the lanes are added up: each lane counts in one byte.
const ROWS: usize = u8::MAX as usize;

/// The counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Newline bytes.
    pub(crate) lines: u64,
    /// Maximal runs of bytes that aren't ASCII white space.
    pub(crate) words: u64,
    pub(crate) bytes: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.lines += other.lines;
        self.words += other.words;
        self.bytes += other.bytes;
    }
}

/// Counts a text that comes in blocks.
#[derive(Debug)]
pub(crate) struct Tally {
    counts: Counts,
    /// The byte before the next block; a space before the first one.
    before: u8,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { counts: Counts::default(), before: b' ' }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    /// Counts the next block.
    pub(crate) fn add(&mut self, block: &[u8]) {
        let (Some(first), Some(last)) = (block.first(), block.last()) else { return };
        self.counts += count(&[self.before], &[*first]);
        self.counts += count(&block[..block.len() - 1], &block[1..]);
        self.before = *last;
    }
}

/// Counts `bytes`. `before` holds each byte's predecessor, at the same index.
fn count(before: &[u8], bytes: &[u8]) -> Counts {
    let mut counts = Counts { bytes: bytes.len() as u64, ..Counts::default() };
    for (before, bytes) in before.chunks(ROWS * LANES).zip(bytes.chunks(ROWS * LANES)) {
        let (before_rows, before_rest) = before.as_chunks::<LANES>();
        let (rows, rest) = bytes.as_chunks::<LANES>();
        let (mut lines, mut words) = ([0; LANES], [0; LANES]);
        for (before, row) in before_rows.iter().zip(rows) {
            for lane in 0..LANES {
                lines[lane] += ends_line(row[lane]);
                words[lane] += begins_word(before[lane], row[lane]);
            }
        }
        for (before, byte) in before_rest.iter().zip(rest) {
            counts.lines += u64::from(ends_line(*byte));
            counts.words += u64::from(begins_word(*before, *byte));
        }
        counts.lines += lines.into_iter().map(u64::from).sum::<u64>();
        counts.words += words.into_iter().map(u64::from).sum::<u64>();
    }
    counts
}

fn ends_line(byte: u8) -> u8 {
    u8::from(byte == b'\n')
}

fn begins_word(before: u8, byte: u8) -> u8 {
    u8::from(is_space(before) & !is_space(byte))
}

/// Space, or one of the five from tab to carriage return: `\t`, `\n`, `\x0b`, `\x0c`, `\r`.
fn is_space(byte: u8) -> bool {
    (byte == b' ') | (byte.wrapping_sub(b'\t') < 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, a byte at a time.
    fn plainly(text: &[u8]) -> Counts {
        let is_space = |byte: &u8| b" \t\n\x0b\x0c\r".contains(byte);
        Counts {
            lines: text.iter().filter(|byte| **byte == b'\n').count() as u64,
            words: text.split(is_space).filter(|word| !word.is_empty()).count() as u64,
            bytes: text.len() as u64,
        }
    }

    fn in_blocks(text: &[u8], size: usize) -> Counts {
        let mut tally = Tally::new();
        text.chunks(size).for_each(|block| tally.add(block));
        tally.counts()
    }

    #[test]
    fn every_byte_is_a_space_or_not() {
        for byte in 0..=u8::MAX {
            let text = [b'x', byte, b'x'];
            assert_eq!(in_blocks(&text, 3), plainly(&text), "{byte:#x}");
        }
    }

    #[test]
    fn nothing_is_nothing_and_a_last_line_may_lack_its_end() {
        assert_eq!(in_blocks(b"", 1), Counts::default());
        let mut tally = Tally::new();
        tally.add(b"");
        tally.add(b"one");
        tally.add(b"");
        tally.add(b" two");
        assert_eq!(tally.counts(), Counts { lines: 0, words: 2, bytes: 7 });
    }

    #[test]
    fn blocks_of_any_size_count_the_same() {
        // Mixed by a fixed rule; long enough for rows, lanes and a rest.
        let text: Vec<u8> = (0u32..3 * (ROWS * LANES) as u32 + 77)
            .map(|n| b"a \nbc\t\r\x0b\x0c\xff\x00d"[(n.wrapping_mul(2_654_435_761) >> 28) as usize % 12])
            .collect();
        let counts = plainly(&text);
        for size in [1, 2, 31, 32, 33, 255, 4_096, ROWS * LANES - 1, ROWS * LANES, ROWS * LANES + 2, text.len()] {
            assert_eq!(in_blocks(&text, size), counts, "blocks of {size} bytes");
        }
    }
}
