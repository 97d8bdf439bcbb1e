//! The [`Executor`] trait, and the tools of an executor's author. Programs and libraries need only the trait.
//!
//! # Writing an executor
//!
//! An executor is a queue of [`Task`]s and something that runs them. Its handle implements [`Executor`]. Another type owns its
//! threads and shuts it down when it is dropped. This executor has one thread and one queue:
//!
//! ```
//! use std::pin::Pin;
//! use std::sync::mpsc::{self, Receiver, Sender};
//! use std::sync::{Arc, Mutex};
//!
//! use polyexec_core::executor::{Executor, OwnedTasks, Ran, Rejected, Task, context};
//! use polyexec_core::{Handle, block_on};
//!
//! #[derive(Clone)]
//! struct Queue {
//!     sender: Arc<Mutex<Sender<Task>>>,
//!     tasks: Arc<OwnedTasks>,
//! }
//!
//! impl Executor for Queue {
//!     fn submit(&self, task: Task) -> Result<(), Rejected> {
//!         // Refuses the task after `close`.
//!         let task = self.tasks.admit(task)?;
//!         self.schedule(task);
//!         Ok(())
//!     }
//!
//!     fn schedule(&self, task: Task) {
//!         // If the thread is gone, the task is dropped, which ends it.
//!         _ = self.sender.lock().unwrap().send(task);
//!     }
//!
//!     fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
//!         let _context = context::enter(Handle::new(self.clone()));
//!         block_on(future);
//!     }
//! }
//!
//! fn run(executor: &Queue, queue: Receiver<Task>) {
//!     let _context = context::reside(Handle::new(executor.clone()));
//!     for task in queue {
//!         if let Ran::Again(task) = executor.tasks.run(task) {
//!             executor.schedule(task);
//!         }
//!     }
//! }
//!
//! let (sender, queue) = mpsc::channel();
//! let executor = Queue { sender: Arc::new(Mutex::new(sender)), tasks: Arc::default() };
//! let runner = executor.clone();
//! std::thread::spawn(move || run(&runner, queue));
//! assert_eq!(executor.block_on(executor.spawn(async { 6 * 7 })).unwrap(), 42);
//! // The owner's drop: ends the idle tasks. Those in the queue end when the queue is dropped.
//! executor.tasks.close();
//! ```
//!
//! | To | use |
//! |---|---|
//! | run a task, and end the idle ones at shutdown | [`Task`], [`Ran`], [`OwnedTasks`] |
//! | make `spawn` and `Handle::current` find the executor | [`context::enter`], [`context::reside`] |
//! | put a thread to sleep, so that it also waits for I/O and timers | [`Parker`], [`Alarm`] |
//! | run tasks and a future on the caller's thread | [`RunLoop`] |
//! | run tasks on another project's runtime | [`HostedTasks`] |
//! | keep a value or a task on one thread | [`ThreadBound`], [`Task::new_local`] |
//! | look for I/O between polls, or be an I/O driver | [`driver`] |
//! | have a clock of its own | [`Clock`] |
//! | show what it does | [`Executor::observer`], [`observe`](crate::observe) |
//! | work after a `fork` | [`process`] |
//! | start a service of the process on first use | [`LazyStart`] |
//!
//! `polyexec-conformance` tests the result in one line.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::pin::{Pin, pin};

use crate::error::SpawnError;
use crate::task::cell::Label;
use crate::{JoinHandle, task};

pub use crate::error::Rejected;
pub use crate::task::large::{Boxed, MAX_INLINE, is_large};
pub use crate::task::slot::TaskSlot;
pub use crate::task::{Ran, Task};
#[cfg(feature = "std")]
pub use crate::task::{current::is_polling, id::OwnerThread, thread_bound::ThreadBound};

#[cfg(feature = "std")]
pub use self::{
    alarm::Alarm,
    clock::{Clock, clock},
    hosted::{HostedTask, HostedTasks},
    lazy_start::LazyStart,
    owned_tasks::OwnedTasks,
    park::Parker,
    run_loop::RunLoop,
};
#[cfg(feature = "std")]
pub use crate::block_on::park_on;

#[cfg(feature = "std")]
mod alarm;
#[cfg(feature = "std")]
mod clock;
#[cfg(feature = "std")]
pub mod context;
#[cfg(feature = "std")]
pub mod driver;
#[cfg(feature = "std")]
mod hosted;
#[cfg(feature = "std")]
mod lazy_start;
#[cfg(feature = "std")]
mod owned_tasks;
#[cfg(feature = "std")]
pub(crate) mod park;
#[cfg(feature = "std")]
pub mod process;
#[cfg(feature = "std")]
mod run_loop;

/// Runs tasks. Every executor implements this, and programs are written against it.
///
/// An implementor is a *handle*: cheap to clone, and usable from any thread. Another type owns the threads or the queue,
/// and shuts the executor down when it is dropped. From then on, handles refuse new tasks.
///
/// The trait is object-safe: `Arc<dyn Executor>` is an executor too, with every method, at no further cost.
///
/// # Using an executor
///
/// ```
/// use polyexec_core::{Executor, JoinError};
///
/// async fn sum_of_squares(executor: &(impl Executor + Clone)) -> Result<u64, JoinError> {
///     let tasks: Vec<_> = (1..=3).map(|n: u64| executor.spawn(async move { n * n })).collect();
///     let mut sum = 0;
///     for task in tasks {
///         sum += task.await?;
///     }
///     Ok(sum)
/// }
/// ```
///
/// # Writing an executor
///
/// Implement three methods: [`submit`](Executor::submit) and [`schedule`](Executor::schedule) put a [`Task`] in a queue, and
/// [`drive`](Executor::drive) polls a future on the calling thread. The executor's threads take tasks from the queue, call
/// [`Task::run`], and put a task back after [`Ran::Again`]. [`OwnedTasks`] ends the remaining ones at shutdown.
///
/// The task does the rest for every executor: the [budget](crate::task::poll_proceed) of each poll, for example.
/// [The module](crate::executor) has a complete executor.
pub trait Executor: Send + Sync + 'static {
    /// Queues a new task. Never runs it within this call.
    ///
    /// # Errors
    ///
    /// The executor can't take the task, and returns it: it has shut down, or has no thread.
    fn submit(&self, task: Task) -> Result<(), Rejected>;

    /// Queues a woken task. Never fails, never panics, and never runs the task within this call.
    ///
    /// It is called from any thread and from any destructor. An executor that has shut down drops the task.
    fn schedule(&self, task: Task);

    /// Polls `future` on the calling thread until it is ready, while the executor's tasks make progress.
    ///
    /// The thread needn't be the executor's. An executor with threads of its own [enters](crate::executor::context::enter)
    /// its context here, and calls [`block_on`](crate::block_on).
    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>);

    /// Polls `future` until it is ready, inside a task, whose thread it blocks.
    ///
    /// [`block_on`](crate::block_on) and [`JoinHandle::join`] call it on threads where the executor
    /// [resides](crate::executor::context::reside), in the executor's context. The other tasks should go on meanwhile,
    /// since `future` may wait for them. The provided method sleeps between polls, in
    /// [`block_in_place`](Executor::block_in_place).
    #[cfg(feature = "std")]
    fn wait(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        crate::block_on::park_with(future, |parker| self.block_in_place(&mut || parker.park()));
    }

    /// Runs `work`, which may block the thread of the current task.
    ///
    /// [`block_in_place`](crate::block_in_place) calls it on threads where the executor
    /// [resides](crate::executor::context::reside). An executor with several threads lets another one run its tasks
    /// meanwhile. The provided method runs `work`. If this executor is driven inside another one's task, it tells that one.
    #[cfg(feature = "std")]
    fn block_in_place(&self, work: &mut dyn FnMut()) {
        crate::executor::context::outside(|outside| crate::block_in_place(|| outside.inside(work)));
    }

    /// The clock of the timers in this executor's tasks. `None`: the real one.
    #[cfg(feature = "std")]
    fn clock(&self) -> Option<Arc<dyn crate::executor::Clock>> {
        None
    }

    /// Whether all tasks of this executor run on the calling thread, so that [`spawn_local`](crate::spawn_local) takes futures
    /// that aren't `Send`. The provided method says no.
    #[cfg(feature = "std")]
    fn runs_only_here(&self) -> bool {
        false
    }

    /// The observer of the executor's tasks and workers. Each spawn asks for it, so it should cost a look. The provided method
    /// returns none.
    #[cfg(feature = "std")]
    #[inline]
    fn observer(&self) -> Option<&dyn crate::observe::Observer> {
        None
    }

    /// Spawns `future` as a task, and returns its handle.
    ///
    /// The future isn't polled within this call. It is kept in the task's one allocation; beyond 2 KiB
    /// ([`is_large`]), in one of its own. If the executor refuses the task, the handle resolves
    /// with an error, and the future is dropped. [`try_spawn`](Executor::try_spawn) returns it instead.
    #[track_caller]
    fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        Self: Clone + Sized,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if const { is_large::<F>() } {
            return task::spawn(self.clone(), Boxed::from(Box::new(future)), Label::here());
        }
        task::spawn(self.clone(), future, Label::here())
    }

    /// Spawns `future` as a task. If the executor refuses the task, returns the future in its error.
    ///
    /// # Errors
    ///
    /// The executor refused the task.
    #[track_caller]
    fn try_spawn<F>(&self, future: F) -> Result<JoinHandle<F::Output>, SpawnError<F>>
    where
        Self: Clone + Sized,
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        if const { is_large::<F>() } {
            return task::try_spawn(self.clone(), Boxed::from(Box::new(future)), Label::here())
                .map_err(SpawnError::unboxed);
        }
        task::try_spawn(self.clone(), future, Label::here())
    }

    /// Polls `future` on the calling thread until it is ready, and returns its output.
    ///
    /// The executor's tasks make progress meanwhile. Works inside a task too.
    ///
    /// # Panics
    ///
    /// If `future` does.
    fn block_on<F: Future>(&self, future: F) -> F::Output
    where
        Self: Sized,
    {
        if const { is_large::<F>() } {
            return drive(self, Box::pin(future));
        }
        drive(self, future)
    }

    /// Calls `body`, which may spawn children that borrow, and returns once every child has ended. The async counterpart of
    /// [`std::thread::scope`].
    ///
    /// It blocks as [`block_on`](Executor::block_on) does: the executor's tasks make progress, and it works inside a task. A
    /// child may spawn further ones.
    ///
    /// If a child never ends, this never returns. [Aborting](task::ScopedJoinHandle::abort) a child ends it, unless a poll of it
    /// doesn't return. The pool reports such a poll to its hook `on_stall`, and the report names the child.
    ///
    /// # Examples
    ///
    /// ```
    /// # use polyexec_core::Executor;
    /// fn count(executor: &(impl Executor + Clone), text: &str) -> usize {
    ///     let mut lines = 0;
    ///     let mut words = 0;
    ///     executor.scope(|s| {
    ///         // Both read `text`, and each changes a variable of this function.
    ///         s.spawn(async { lines = text.lines().count() });
    ///         s.spawn(async { words = text.split_whitespace().count() });
    ///     });
    ///     lines + words
    /// }
    /// ```
    ///
    /// # Panics
    ///
    /// If `body` does; else if a child does, and its handle didn't return the panic. The first such panic goes on. Likewise if the
    /// executor refuses or drops a child, unless the child's handle has told so, or was used to abort it. In each case all children
    /// end first, and none is cancelled.
    ///
    /// If `block_on` panics here. Then `body` isn't called.
    #[cfg(feature = "std")]
    #[track_caller]
    fn scope<'env, T>(&self, body: impl for<'scope> FnOnce(&'scope task::Scope<'scope, 'env>) -> T) -> T
    where
        Self: Clone + Sized,
    {
        task::scope::run(crate::Handle::new(self.clone()), body)
    }
}

fn drive<F: Future>(executor: &impl Executor, future: F) -> F::Output {
    let mut output = None;
    executor.drive(pin!(async { output = Some(future.await) }));
    output.expect("`drive` returns when the future is ready")
}

impl<E: Executor + ?Sized> Executor for Arc<E> {
    fn submit(&self, task: Task) -> Result<(), Rejected> {
        (**self).submit(task)
    }

    fn schedule(&self, task: Task) {
        (**self).schedule(task);
    }

    fn drive(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        (**self).drive(future);
    }

    #[cfg(feature = "std")]
    fn wait(&self, future: Pin<&mut dyn Future<Output = ()>>) {
        (**self).wait(future);
    }

    #[cfg(feature = "std")]
    fn block_in_place(&self, work: &mut dyn FnMut()) {
        (**self).block_in_place(work);
    }

    #[cfg(feature = "std")]
    fn clock(&self) -> Option<Arc<dyn crate::executor::Clock>> {
        (**self).clock()
    }

    #[cfg(feature = "std")]
    fn runs_only_here(&self) -> bool {
        (**self).runs_only_here()
    }

    #[cfg(feature = "std")]
    fn observer(&self) -> Option<&dyn crate::observe::Observer> {
        (**self).observer()
    }
}
