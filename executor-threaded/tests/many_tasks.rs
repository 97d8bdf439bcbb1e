//! More tasks than the process may have threads. Alone in its program, since that limit is the process's.

use std::error::Error;

use polyexec_conformance::probe::{Gate, leave_out};
use polyexec_conformance::watched;
use polyexec_threaded::Threaded;
use polyexec_threads::most_threads;

/// With a higher limit, the threads take too long to start, or other resources run out first.
const MOST: usize = 20_000;

#[test]
fn one_task_more_than_there_is_room_for_is_refused() {
    watched!();
    // Set by `verify/sanitize`: ThreadSanitizer knows 8,000 threads.
    let is_sanitized = std::env::var_os("POLYEXEC_SANITIZED").is_some();
    if most_threads() > MOST || is_sanitized {
        return leave_out(format_args!("{} threads are too many here", most_threads()));
    }
    let (first, second) = (Threaded::new(), Threaded::builder().queue_when_full().build().unwrap());
    let gate = Gate::new();
    let mut waits = Vec::new();
    let refused = loop {
        let gate = gate.clone();
        match first.try_spawn(async move { gate.opened().await }) {
            Ok(task) => waits.push(task),
            Err(refused) => break refused,
        }
    };
    assert!(waits.len() <= most_threads());
    assert!(!refused.is_shutdown() && refused.source().is_some(), "{refused}");
    // For any executor.
    assert!(second.try_spawn(async {}).is_err());
    gate.open();
    waits.into_iter().for_each(|task| task.join().unwrap());
    drop(first);
    // Once the threads have ended, others may start.
    assert_eq!(second.spawn(async { 7 }).join().unwrap(), 7);
}
