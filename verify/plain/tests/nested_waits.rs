//! Tasks of one thread that block inside each other, on a stack of 2 MiB, which is a thread's by default.

use std::future::ready;
use std::hint::black_box;
use std::pin::Pin;
use std::thread;

use polyexec::{Executor, Local, block_on, local::LocalHandle};

fn on_a_threads_stack(work: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}

/// Each waits for a task behind all the others.
#[test]
fn each_for_a_task_of_its_own() {
    const TASKS: u64 = 20_000;
    on_a_threads_stack(|| {
        let local = Local::new();
        let joins = |n| {
            let handle = local.handle();
            local.spawn(async move { handle.spawn(async move { block_on(ready(n)) }).join().unwrap() })
        };
        let tasks: Vec<_> = (0..TASKS).map(joins).collect();
        let sum = local.block_on(async {
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, TASKS * (TASKS - 1) / 2);
    });
}

/// How many tasks of a chain have seen the end of the next one, from the last one that couldn't on.
fn chain(handle: LocalHandle, left: usize) -> Pin<Box<dyn Future<Output = usize> + Send>> {
    Box::pin(async move {
        // A bit of a stack of its own.
        let frame = black_box([left as u8; 1 << 10]);
        if left == 0 {
            return 0;
        }
        let next = handle.spawn(chain(handle.clone(), left - 1)).join();
        black_box(&frame);
        next.map_or(0, |seen| seen + 1)
    })
}

#[test]
fn each_for_the_next_one() {
    on_a_threads_stack(|| {
        let local = Local::new();
        // Within the bound.
        assert_eq!(local.block_on(local.spawn(chain(local.handle(), 200))).unwrap(), 200);
        let seen = local.block_on(local.spawn(chain(local.handle(), 5_000))).unwrap();
        assert!((200..300).contains(&seen), "{seen} tasks were inside of each other");
        assert_eq!(local.block_on(local.spawn(async { 7 })).unwrap(), 7);
    });
}
