//! A custom executor: a queue that runs on the thread that made it. Passes the whole conformance suite (see the end).
//!
//!     cargo run --release --example custom_executor
//!     cargo test --example custom_executor

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use polyexec::executor::{OwnedTasks, OwnerThread, Ran, Rejected, RunLoop, Task, context};
use polyexec::{Executor, Handle, block_on};

/// The handle, which spawns from any thread.
#[derive(Clone)]
struct Queue(Arc<Shared>);

struct Shared {
    home: OwnerThread,
    /// Ready tasks. `None` after the shutdown.
    ready: Mutex<Option<VecDeque<Task>>>,
    /// Idle tasks, so that the shutdown can end them.
    live: OwnedTasks,
    run_loop: RunLoop,
}

impl Queue {
    /// Runs the oldest ready task, if any.
    fn run_one(&self) -> bool {
        let ready = self.0.ready.lock().unwrap().as_mut().and_then(VecDeque::pop_front);
        let Some(task) = ready else { return false };
        if let Ran::Again(task) = self.0.live.run(task) {
            self.schedule(task);
        }
        true
    }

    /// Returns the task if the executor has shut down.
    fn push(&self, task: Task) -> Result<(), Task> {
        match &mut *self.0.ready.lock().unwrap() {
            Some(ready) => ready.push_back(task),
            None => return Err(task),
        }
        self.0.run_loop.notify();
        Ok(())
    }
}

impl Executor for Queue {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.push(self.0.live.admit(task)?).map_err(Rejected::shut_down)
    }

    fn schedule(&self, task: Task) {
        drop(self.push(task));
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        if self.0.home.is_current() {
            let _context = context::reside(Handle::new(self.clone()));
            self.wait(future);
        } else {
            let _context = context::enter(Handle::new(self.clone()));
            block_on(future);
        }
    }

    /// Runs the other tasks inside the blocked one, since no other thread could run them.
    fn wait(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        self.0.run_loop.drive(future, || self.run_one());
    }
}

/// The executor itself. Dropping it ends every task.
struct Owner(Queue);

impl Owner {
    fn new() -> Self {
        let (ready, live, run_loop) = (Mutex::new(Some(VecDeque::new())), OwnedTasks::new(), RunLoop::new());
        Self(Queue(Arc::new(Shared { home: OwnerThread::current(), ready, live, run_loop })))
    }

    fn handle(&self) -> Queue {
        self.0.clone()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.0.live.close();
        // Dropping a task ends it. Not under the lock, since its future's destructor is user code.
        let left = self.0.0.ready.lock().unwrap().take();
        drop(left);
    }
}

fn main() {
    let executor = Owner::new();
    let tasks: Vec<_> = (1..=1_000).map(|n| executor.handle().spawn(polyexec_futures::count(n))).collect();
    let sum: u64 = executor.handle().block_on(async {
        let mut sum = 0;
        for task in tasks {
            sum += task.await.expect("a Counter doesn't fail");
        }
        sum
    });
    println!("1,000 Counters on a queue of one's own; the sum of their results is {sum}");
    assert_eq!(sum, 500_500);
}

#[cfg(test)]
polyexec_conformance::suite! {
    start: Owner::new,
    without: {
        p07_failure_to_get_a_thread_leaves_the_executor_usable: "it has no threads of its own",
        p63_one_task_that_blocks_leaves_the_others_running: "one thread runs all its tasks",
        p68_a_task_just_woken_runs_though_its_waker_blocks: "one thread runs all its tasks",
        p69_names_stack_sizes_and_hooks: "it has no threads of its own",
    },
}
