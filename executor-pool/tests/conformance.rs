//! The conformance suite, on pools of one, two and four workers.

use std::io;

use polyexec_conformance::ThreadOptions;
use polyexec_pool::Pool;

fn with(workers: usize, options: ThreadOptions) -> io::Result<Pool> {
    let ThreadOptions { name, stack_size, on_start, on_stop } = options;
    Pool::builder()
        .worker_threads(workers)
        .thread_name(name)
        .stack_size(stack_size)
        .on_thread_start(move || on_start())
        .on_thread_stop(move || on_stop())
        .build()
}

mod workers_1 {
    use super::*;

    polyexec_conformance::suite! {
        start: || Pool::builder().worker_threads(1).build().unwrap(),
        start_with: |options| with(1, options),
    }
}

mod workers_2 {
    use super::*;

    polyexec_conformance::suite! {
        start: || Pool::builder().worker_threads(2).build().unwrap(),
        start_with: |options| with(2, options),
    }
}

mod workers_4 {
    use super::*;

    polyexec_conformance::suite! {
        start: || Pool::builder().worker_threads(4).build().unwrap(),
        start_with: |options| with(4, options),
    }
}
