//! Measures contestants in turn, round after round, so that what disturbs the machine disturbs all alike.

use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use polyexec_verify_support::Progress;

use crate::row::Measure;

static STOPPED: AtomicBool = AtomicBool::new(false);

/// What a shell gives for a program that Ctrl-C ended.
pub const STOPPED_BY_USER: u8 = 130;

/// From here on, Ctrl-C ends the run after the measurement that is under way, and a second one at once.
pub fn stop_on_ctrl_c() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        if STOPPED.swap(true, Relaxed) {
            exit(STOPPED_BY_USER.into());
        }
    })
}

pub fn stopped() -> bool {
    STOPPED.load(Relaxed)
}

/// One contestant's measurement, and what the progress line calls it.
pub struct Cell<'a> {
    pub name: String,
    pub measure: &'a mut Measure,
}

/// Runs each cell `rounds` times: all cells in a round, each round beginning with another one. Gives every cell's values,
/// equally many; fewer than `rounds` if it was stopped.
pub fn measure(row: &str, cells: &mut [Cell<'_>], rounds: usize) -> Vec<Vec<f64>> {
    let mut values = vec![Vec::with_capacity(rounds); cells.len()];
    let mut progress = Progress::new();
    'rounds: for round in 0..rounds {
        for turn in 0..cells.len() {
            if stopped() {
                break 'rounds;
            }
            let index = (round + turn) % cells.len();
            progress.show(|| format!("{row}: {}, round {}/{rounds}", cells[index].name, round + 1));
            values[index].push((cells[index].measure)());
        }
    }
    let complete = values.iter().map(Vec::len).min().unwrap_or(0);
    values.iter_mut().for_each(|values| values.truncate(complete));
    values
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn each_round_begins_with_another_contestant() {
        let trace = Rc::new(RefCell::new(String::new()));
        let measure_as = |name: char| {
            let trace = trace.clone();
            Box::new(move || {
                trace.borrow_mut().push(name);
                f64::from(u32::from(name))
            }) as Measure
        };
        let (mut a, mut b, mut c) = (measure_as('a'), measure_as('b'), measure_as('c'));
        let mut cells = [&mut a, &mut b, &mut c].map(|measure| Cell { name: String::new(), measure });
        let values = measure("row", &mut cells, 4);
        assert_eq!(*trace.borrow(), "abcbcacababc");
        assert_eq!(values, ['a', 'b', 'c'].map(|name| vec![f64::from(u32::from(name)); 4]));
    }
}
