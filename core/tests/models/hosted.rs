//! A task inside another runtime, which polls the task's future when that was woken: no wake is slept through, and no end.

use std::pin::{Pin, pin};
use std::sync::{Arc as Plain, Mutex as Invisible};
use std::task::{Context, Waker};

use loom::thread;
use polyexec_core::executor::{HostedTask, HostedTasks, Rejected, Task, park_on};
use polyexec_core::modelled::{Drops, Token, check, check_fewer};
use polyexec_core::{Executor, Handle, JoinHandle};

use crate::common::{Slot, flag, raise, result, until};

/// Gives the future of the newest task to the model, which is the runtime.
#[derive(Clone, Default)]
struct Host {
    tasks: HostedTasks,
    newest: Plain<Invisible<Option<HostedTask>>>,
}

impl Executor for Host {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        self.tasks.submit(task, Handle::new(self.clone()), |future| *self.newest.lock().unwrap() = Some(future))
    }

    fn schedule(&self, task: Task) {
        self.tasks.schedule(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        park_on(future);
    }
}

/// A task that was polled once, and is idle.
fn idle<F>(host: &Host, future: F) -> (HostedTask, JoinHandle<Token>)
where
    F: Future<Output = Token> + Send + 'static,
{
    let handle = host.spawn(future);
    let mut hosted = host.newest.lock().unwrap().take().expect("it was accepted");
    assert!(Pin::new(&mut hosted).poll(&mut Context::from_waker(Waker::noop())).is_pending());
    (hosted, handle)
}

#[test]
fn no_wake_of_a_hosted_task_is_lost() {
    check_fewer("no wake of a hosted task is lost", 1, || {
        let (host, flags, slot) = (Host::default(), [flag(), flag()], Slot::default());
        let (futures, outputs) = (Drops::default(), Drops::default());
        let (hosted, handle) = idle(&host, until(&flags, &slot, &futures, &outputs));
        let task = slot.take();
        let wakes = raise(&flags, move || task.wake_by_ref());
        // Ends only if each wake that matters brings a poll.
        park_on(pin!(hosted));
        wakes.join().unwrap();
        drop(result(handle).unwrap());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn the_close_of_hosted_tasks_ends_their_futures() {
    check("the close of hosted tasks ends their futures", || {
        let (host, slot) = (Host::default(), Slot::default());
        let (futures, outputs) = (Drops::default(), Drops::default());
        let (hosted, handle) = idle(&host, until(&[flag()], &slot, &futures, &outputs));
        let closes = thread::spawn({
            let tasks = host.tasks.clone();
            move || tasks.close()
        });
        park_on(pin!(hosted));
        closes.join().unwrap();
        assert!(result(handle).err().unwrap().is_shutdown());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}

#[test]
fn a_hosted_task_ends_whose_future_is_dropped_while_it_is_woken() {
    check("a hosted task ends whose future is dropped while it is woken", || {
        let (host, up, slot) = (Host::default(), flag(), Slot::default());
        let (futures, outputs) = (Drops::default(), Drops::default());
        let (hosted, handle) = idle(&host, until(&[up.clone()], &slot, &futures, &outputs));
        let task = slot.take();
        let wakes = raise(&[up], move || task.wake_by_ref());
        drop(hosted);
        wakes.join().unwrap();
        assert!(result(handle).err().unwrap().is_shutdown());
        assert_eq!((futures.count(), outputs.count()), (1, 1));
    });
}
