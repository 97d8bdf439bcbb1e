//! What becomes of a pool whose process can open no more files: each test in a process of its own.

#![cfg(target_os = "linux")]

use std::fs::File;

use polyexec_conformance::probe::Gate;
use polyexec_conformance::scarce::Scarcity::Files;
use polyexec_conformance::scarce::with_scarcity;
use polyexec_core::JoinHandle;
use polyexec_pool::Pool;

/// All files that may be opened.
fn all_files() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

#[test]
fn polls_that_block_are_relieved() {
    with_scarcity(Files(64), || {
        for workers in [1, 2] {
            let (pool, gate) = (Pool::builder().worker_threads(workers).build().unwrap(), Gate::new());
            let files = all_files();
            assert!(File::open("/proc/self/stat").is_err());
            // Far more than there are workers, and each of them waits for the last task.
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
