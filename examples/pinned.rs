//! A pool whose workers keep to a processor each, by the crate `core_affinity`.
//!
//!     cargo run --example pinned

use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use core_affinity::CoreId;
use polyexec::Pool;
use polyexec::pool::WorkerInfo;

use support::cli::{self, Failure, say};

mod support {
    pub(crate) mod cli;
}

const HELP: &str = "\
Pins each worker of a pool to a processor, and prints which.

Usage: pinned

Exit code: 0 on success, 1 if the pool can't start, 2 if the options are invalid.";

fn main() -> ExitCode {
    cli::run_without_options(HELP, || run().map_err(|error| Failure::failed(format_args!("no pool: {error}"))))
}

fn run() -> io::Result<()> {
    // Empty where the system doesn't tell.
    let processors = core_affinity::get_core_ids().unwrap_or_default();
    let pinned = Arc::new(Mutex::new(Vec::new()));
    let pool = {
        let pinned = pinned.clone();
        // Again for each thread that takes a worker over.
        let pin = move |worker: &WorkerInfo| {
            let processor = pin_to_its_own(worker, &processors);
            pinned.lock().expect("no hook panics").push((worker.index(), processor));
        };
        Pool::builder().worker_threads(2).on_worker_start(pin).build()?
    };
    let squares: Vec<_> = (1..=10).map(|n| pool.spawn(async move { n * n })).collect();
    let sum: u32 = squares.into_iter().map(|square| square.join().expect("it doesn't panic")).sum();
    // Joins the threads, each of which has called the hook.
    drop(pool);
    let mut pinned = pinned.lock().expect("no hook panics");
    pinned.sort_unstable_by_key(|(index, _)| *index);
    for (index, processor) in pinned.iter() {
        match processor {
            Some(processor) => say(format_args!("worker {index} runs on processor {}", processor.id)),
            None => say(format_args!("worker {index} runs anywhere: the system pins no threads")),
        }
    }
    say(format_args!("the squares add up to {sum}"));
    Ok(())
}

/// Pins this thread to the worker's processor; workers share them if there are more.
fn pin_to_its_own(worker: &WorkerInfo, processors: &[CoreId]) -> Option<CoreId> {
    let processor = *processors.get(worker.index() % processors.len().max(1))?;
    core_affinity::set_for_current(processor).then_some(processor)
}
