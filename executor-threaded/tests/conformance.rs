//! The conformance suite, with reused threads, and with a fresh one for each task. The latter has an observer, which checks what
//! it is told.

use std::io;

use polyexec_conformance::{LegalOrder, ThreadOptions};
use polyexec_threaded::{Builder, Threaded};

fn with(builder: Builder, options: ThreadOptions) -> io::Result<Threaded> {
    let ThreadOptions { name, stack_size, on_start, on_stop } = options;
    builder
        .thread_name(name)
        .stack_size(stack_size)
        .on_thread_start(move || on_start())
        .on_thread_stop(move || on_stop())
        .build()
}

mod cached {
    use super::*;

    polyexec_conformance::suite! {
        start: Threaded::new,
        start_with: |options| with(Threaded::builder(), options),
        without: {
            p65_a_task_that_wakes_itself_delays_others_by_64_polls_at_most: "its tasks run at the same time",
            p66_two_tasks_that_wake_each_other_delay_others_by_64_polls_at_most: "its tasks run at the same time",
            p67_a_task_from_outside_waits_for_64_polls_at_most: "its tasks run at the same time",
            p75_a_million_live_tasks_complete: "a million live tasks would be a million threads",
            p77_a_chain_of_100_000_handles_is_dropped: "100,000 live tasks would be as many threads",
            p79_what_is_always_ready_delays_others_by_128_operations_at_most: "its tasks run at the same time",
        },
    }
}

mod fresh {
    use super::*;

    polyexec_conformance::suite! {
        start: || Threaded::builder().fresh_threads().observer(LegalOrder).build().unwrap(),
        start_with: |options| with(Threaded::builder().fresh_threads(), options),
        without: {
            p06_one_allocation_a_task: "starting a thread allocates, and each task starts one",
            p65_a_task_that_wakes_itself_delays_others_by_64_polls_at_most: "its tasks run at the same time",
            p66_two_tasks_that_wake_each_other_delay_others_by_64_polls_at_most: "its tasks run at the same time",
            p67_a_task_from_outside_waits_for_64_polls_at_most: "its tasks run at the same time",
            p75_a_million_live_tasks_complete: "a million live tasks would be a million threads",
            p77_a_chain_of_100_000_handles_is_dropped: "100,000 live tasks would be as many threads",
            p77_a_spawn_chain_a_million_deep: "a million fresh threads take minutes: `a_million_fresh_threads`, on request",
            p79_what_is_always_ready_delays_others_by_128_operations_at_most: "its tasks run at the same time",
        },
    }

    /// The property that the suite leaves out. To run it: `cargo test -p polyexec-threaded --test conformance -- --ignored`.
    #[test]
    #[ignore = "takes minutes"]
    fn a_million_fresh_threads() {
        use polyexec_conformance::{Fixture, Outcome, Subject, check};

        let start = || {
            let threaded = Threaded::builder().fresh_threads().build().unwrap();
            let handle = threaded.handle();
            Fixture::new(threaded, handle)
        };
        let subject = Subject::new(start, || unreachable!("it needs no process of its own"));
        assert_eq!(check("p77_a_spawn_chain_a_million_deep", subject, &[]), Outcome::Held);
    }
}
