//! A pool whose process can open no more files. The test runs in its own process.

#![cfg(target_os = "linux")]

use std::fs::File;

use polyexec_conformance::probe::Gate;
use polyexec_conformance::scarce::Scarcity::Files;
use polyexec_conformance::scarce::with_scarcity;
use polyexec_core::JoinHandle;
use polyexec_pool::Pool;

/// All the files that may be opened.
fn all_files() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[test]
fn workers_whose_polls_block_are_replaced() {
    with_scarcity([Files(64)], |_| {
        for workers in [1, 2] {
            let (pool, gate) = (Pool::builder().worker_threads(workers).build().unwrap(), Gate::new());
            let files = all_files();
            assert!(File::open("/proc/self/stat").is_err());
            // Far more than workers, and each waits for the last task.
            let block = |_| {
                let gate = gate.clone();
                pool.spawn(async move { gate.wait() })
            };
            let mut tasks: Vec<JoinHandle<()>> = (0..10 * workers).map(block).collect();
            tasks.push(pool.spawn(async move { gate.open() }));
            tasks.into_iter().for_each(|task| task.join().unwrap());
            drop(files);
        }
    });
}
