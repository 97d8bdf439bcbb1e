//! A loop that isn't an executor's, and threads that queue tasks: the loop runs each task, and sleeps only if there is none.
//!
//! The queue orders nothing here, as far as loom knows, so the alarm alone orders what the models see.

use std::cell::RefCell;
use std::sync::atomic::Ordering::Relaxed;

use loom::sync::Arc;
use loom::thread;
use polyexec_core::executor::Parker;
use polyexec_core::modelled::{AtomicBool, AtomicUsize, check, check_fewer};

use super::OnReady;

/// Tasks that other threads have queued, each a flag.
type Queue = Arc<Vec<AtomicBool>>;

fn queue(tasks: usize) -> Queue {
    Arc::new((0..tasks).map(|_| AtomicBool::new(false)).collect())
}

/// One thread a task queues it.
fn producers(queue: &Queue, on_ready: &Arc<OnReady>) -> Vec<thread::JoinHandle<()>> {
    let produce = |task: usize| {
        let (queue, on_ready) = (queue.clone(), on_ready.clone());
        thread::spawn(move || {
            queue[task].store(true, Relaxed);
            on_ready.queued();
        })
    };
    (0..queue.len()).map(produce).collect()
}

/// Runs the tasks once without being told to, then whenever the hook tells it. Ends only if no call of the hook is lost.
fn runs_all(name: &str, tasks: usize, fewer: usize) {
    check_fewer(name, fewer, move || {
        let (queue, parker) = (queue(tasks), Arc::new(Parker::new()));
        let unparks = parker.clone();
        let on_ready = Arc::new(OnReady::new(Box::new(move || unparks.unpark())));
        let producers = producers(&queue, &on_ready);
        let left = RefCell::new((0..tasks).collect::<Vec<_>>());
        let is_ready = |task: &usize| queue[*task].load(Relaxed);
        loop {
            let running = on_ready.running(|| left.borrow().iter().any(is_ready));
            left.borrow_mut().retain(|task| !is_ready(task));
            drop(running);
            if left.borrow().is_empty() {
                break;
            }
            parker.park();
        }
        producers.into_iter().for_each(|producer| producer.join().unwrap());
    });
}

#[test]
fn a_loop_and_a_task() {
    runs_all("on_ready: a loop and a task", 1, 0);
}

#[test]
fn a_loop_and_two_tasks() {
    runs_all("on_ready: a loop and two tasks", 2, 1);
}

#[test]
fn tasks_that_nobody_runs_bring_one_call() {
    check("on_ready: tasks that nobody runs bring one call", || {
        let (queue, calls) = (queue(2), Arc::new(AtomicUsize::new(0)));
        let counted = calls.clone();
        let on_ready = Arc::new(OnReady::new(Box::new(move || _ = counted.fetch_add(1, Relaxed))));
        producers(&queue, &on_ready).into_iter().for_each(|producer| producer.join().unwrap());
        assert_eq!(calls.load(Relaxed), 1);
    });
}
