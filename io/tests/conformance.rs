//! The conformance suite on every executor while the driver has a socket: idle threads wait in the driver, and each wake and each
//! shutdown has to interrupt them.

use std::sync::OnceLock;

use mio::net::UdpSocket;
use polyexec_io::Io;

/// Keeps the driver busy for the life of the process: no event ever comes to this socket.
fn there_is_something_to_wait_for() {
    static SOCKET: OnceLock<Io<UdpSocket>> = OnceLock::new();
    SOCKET.get_or_init(|| Io::new(UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap()).unwrap());
}

mod pool {
    use super::*;

    polyexec_conformance::suite! {
        start: || {
            there_is_something_to_wait_for();
            polyexec_pool::Pool::builder().worker_threads(2).build().unwrap()
        },
        without: {
            p07_failure_to_get_a_thread_leaves_the_executor_usable: "the first executor starts the driver's thread",
            p57_lifecycles_grow_no_threads_files_or_memory: "the first executor starts the driver's thread",
            p65_a_task_that_wakes_itself_delays_others_by_64_polls_at_most: "its tasks run at the same time",
            p66_two_tasks_that_wake_each_other_delay_others_by_64_polls_at_most: "its tasks run at the same time",
            p67_a_task_from_outside_waits_for_64_polls_at_most: "its tasks run at the same time",
            p79_what_is_always_ready_delays_others_by_128_operations_at_most: "its tasks run at the same time",
            p69_names_stack_sizes_and_hooks: "where a thread waits has nothing to do with them",
            p71_the_thread_count_returns_to_where_it_was: "the first executor starts the driver's thread",
        },
    }
}

mod threaded {
    use super::*;

    polyexec_conformance::suite! {
        start: || {
            there_is_something_to_wait_for();
            polyexec_threaded::Threaded::new()
        },
        without: {
            p07_failure_to_get_a_thread_leaves_the_executor_usable: "the first executor starts the driver's thread",
            p57_lifecycles_grow_no_threads_files_or_memory: "the first executor starts the driver's thread",
            p65_a_task_that_wakes_itself_delays_others_by_64_polls_at_most: "its tasks run at the same time",
            p66_two_tasks_that_wake_each_other_delay_others_by_64_polls_at_most: "its tasks run at the same time",
            p67_a_task_from_outside_waits_for_64_polls_at_most: "its tasks run at the same time",
            p79_what_is_always_ready_delays_others_by_128_operations_at_most: "its tasks run at the same time",
            p69_names_stack_sizes_and_hooks: "where a thread waits has nothing to do with them",
            p71_the_thread_count_returns_to_where_it_was: "the first executor starts the driver's thread",
            p75_a_million_live_tasks_complete: "a million live tasks would be a million threads",
            p77_a_chain_of_100_000_handles_is_dropped: "100,000 live tasks would be as many threads",
        },
    }
}

mod local {
    use super::*;

    polyexec_conformance::suite! {
        start_local: || {
            there_is_something_to_wait_for();
            polyexec_local::Local::new()
        },
        without: {
            p07_failure_to_get_a_thread_leaves_the_executor_usable: "it has no threads of its own",
            p57_lifecycles_grow_no_threads_files_or_memory: "the first executor starts the driver's thread",
            p63_one_task_that_blocks_leaves_the_others_running: "one thread runs all its tasks",
            p68_a_task_just_woken_runs_though_its_waker_blocks: "one thread runs all its tasks",
            p69_names_stack_sizes_and_hooks: "it has no threads of its own",
            p71_the_thread_count_returns_to_where_it_was: "the first executor starts the driver's thread",
        },
    }
}
